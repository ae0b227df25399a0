//! HTML pages of the simulator: no script, no external content, every inserted text escaped.

use axum::response::{IntoResponse, Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};
use url::Url;

/// Page, with its security headers.
#[derive(Debug)]
pub(crate) struct HtmlPage {
    status: StatusCode,
    title: String,
    heading: String,
    /// HTML.
    body: String,
    /// Source expression of the address that the page's form may redirect to.
    redirect_source: Option<String>,
}

impl HtmlPage {
    /// Page with this body, which is HTML; title and heading are text.
    pub(crate) fn new(status: StatusCode, title: impl Into<String>, heading: impl Into<String>, body: String) -> Self {
        Self {
            status,
            title: title.into(),
            heading: heading.into(),
            body,
            redirect_source: None,
        }
    }

    /// Page that reports an error in one sentence.
    pub(crate) fn error(status: StatusCode, sentence: &str) -> Self {
        let heading = status.canonical_reason().unwrap_or("Error");
        let body = format!(
            "<p>{}</p><p><a href=\"/\">Simulated platforms</a></p>",
            escaped(sentence)
        );
        Self::new(status, "Postern's simulator", heading, body)
    }

    /// The same page, whose form may redirect to this URL: Chromium applies `form-action` to redirects too.
    pub(crate) fn allowing_redirect_to(self, url: &Url) -> Self {
        Self {
            redirect_source: Some(source_expression(url)),
            ..self
        }
    }

    fn policy(&self) -> String {
        let style = STANDARD.encode(Sha256::digest(STYLE));
        let target = self.redirect_source.as_deref().unwrap_or_default();
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; img-src 'self'; form-action 'self' {target}; base-uri 'none'; \
             frame-ancestors 'none'"
        )
    }
}

impl IntoResponse for HtmlPage {
    fn into_response(self) -> Response {
        let (title, heading) = (escaped(&self.title), escaped(&self.heading));
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <title>{title}</title><style>{STYLE}</style></head>\
             <body><main><h1>{heading}</h1>{}</main></body></html>\n",
            self.body
        );
        let mut response = (self.status, HEADERS, html).into_response();
        // The policy consists of a digest and a source expression, both printable ASCII.
        if let Ok(policy) = HeaderValue::try_from(self.policy()) {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    // With `no-referrer` a form would be sent with `Origin: null`.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Source expression (CSP 3, section 2.3.1) of a URL: its origin, or its scheme where the grammar has no word for the host.
fn source_expression(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    let is_host_source = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'/');
    match url.has_host() && origin.bytes().all(is_host_source) {
        true => origin,
        false => format!("{}:", url.scheme()),
    }
}

/// Text as HTML, for elements and quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// Table with this name and these column heads; cells are HTML.
pub(crate) fn table<const N: usize>(
    name: &str,
    heads: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let heads = heads.map(|head| format!("<th scope=\"col\">{head}</th>")).concat();
    let row = |cells: [String; N]| format!("<tr>{}</tr>", cells.map(|cell| format!("<td>{cell}</td>")).concat());
    let rows: String = rows.into_iter().map(row).collect();
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{name}\" tabindex=\"0\">\
         <table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

const STYLE: &str = ":root{color-scheme:light dark;--ink:#1b1b1f;--soft:#4d4d57;--page:#f1f1f4;--card:#fff;--line:#83838d;\
    --act:#1f5fd0;--on:#fff}\
    @media(prefers-color-scheme:dark){:root{--ink:#ededf2;--soft:#b9b9c4;--page:#16161a;--card:#222228;--line:#85858f;\
    --act:#9dc0ff;--on:#10131a}}\
    *{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;margin:0;color:var(--ink);background:var(--page)}\
    main{max-width:54rem;margin:0 auto;padding:1.5rem 1rem;background:var(--card);min-height:100vh}\
    h1{font-size:1.35rem;margin-top:0;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem}\
    dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1rem}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\
    ul.logins{list-style:none;padding:0;margin:0}\
    .logins li{display:flex;flex-wrap:wrap;gap:.75rem;align-items:center;padding:.6rem 0;border-top:1px solid var(--line)}\
    .who{flex:1 1 10rem;min-width:0;overflow-wrap:anywhere}.id{display:block;color:var(--soft);font-size:.875rem}\
    img{width:48px;height:48px;border-radius:50%}\
    button{font:inherit;min-height:44px;padding:.5rem 1.1rem;border:1px solid var(--act);border-radius:8px;cursor:pointer;\
    color:var(--on);background:var(--act)}button.plain{color:var(--act);background:transparent}\
    input{font:inherit;min-height:44px;width:100%;max-width:20rem;padding:.4rem .6rem;border:1px solid var(--line);\
    border-radius:8px;color:inherit;background:transparent}label{display:block;margin-top:1rem}\
    form p{margin:.5rem 0}a{color:var(--act)}:focus-visible{outline:3px solid var(--act);outline-offset:2px}\
    .scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9375rem}\
    th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-top:1px solid var(--line)}\
    code{font:.875em ui-monospace,monospace;overflow-wrap:anywhere;unicode-bidi:isolate}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_for_elements_and_attributes() {
        assert_eq!(
            escaped("</p><script>alert('x')</script>\"&"),
            "&lt;/p&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"
        );
    }

    #[test]
    fn redirect_source_is_an_origin_or_a_scheme_and_adds_no_directive() {
        let of = |url: &str| source_expression(&Url::parse(url).unwrap());
        assert_eq!(of("http://127.0.0.1:3000/callback?a=b"), "http://127.0.0.1:3000");
        assert_eq!(of("https://app.example/back"), "https://app.example");
        assert_eq!(of("http://[::1]:3000/callback"), "http:");
        assert_eq!(of("https://a;script-src/"), "https:");
        assert_eq!(of("https://a,default-src/"), "https:");
    }
}
