// Texts of strangers that a page must show as text. Each script calls `canary` with its name; each element has class `injected`.
exports.PAYLOADS = {
  script: "<script>canary('script')</script><b class=injected>",
  image: `"><img class=injected src=x onerror="canary('image')">`,
  singleQuoted: "' class=injected tabindex=0 autofocus onfocus=canary('single') x='",
  doubleQuoted: `" class=injected tabindex=0 autofocus onfocus=canary('double') x="`,
  closing: "</title></style></textarea></select></script>--><svg class=injected onload=canary('closing')>",
  scriptUrl: "javascript:canary('url')",
  dataUrl: "data:text/html,<script>parent.canary('data')</script>",
  entities: "&lt;img class=injected src=x onerror=canary('entities')&gt;&#60;svg onload=canary('entities')&#62;",
  template: "{{constructor.constructor('canary(1)')()}}${canary('template')}<%= canary('erb') %>#{canary('hash')}",
  external: "<link rel=stylesheet class=injected href=//evil.example/a.css><img class=injected src=https://evil.example/a.png>",
  style: "</style><style class=injected>*{background:url(https://evil.example/b.png)}",
  base: "<base class=injected href=https://evil.example/><form class=injected action=https://evil.example/>",
  refresh: "<meta class=injected http-equiv=refresh content='0;url=https://evil.example/refresh'>",
  bidi: "\u202Egnp.nitram\u2066\u2067\u202D evil",
  controls: "a\u0000b\u0007c\u001b[31md\u0085e\u2028f\ufeffg",
  long: "W".repeat(3000),
};
