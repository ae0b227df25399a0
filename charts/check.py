"""Checks of the chart: lint, rendering of each ci/*-values.yaml and validation against the schemas of Kubernetes, refusal of
wrong values, variables, Pod Security, and the table of values in the README.

`check.py --write` writes that table instead.
"""

import copy
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import jsonschema
import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).parent
CHART = HERE / "postern"
CONFIGURATION = HERE.parent / "docs/operations/configuration.md"
HELM = pathlib.Path(sys.executable).parent / "helm"
KUBERNETES = ["1.31", "1.32", "1.33", "1.34"]

# Sections of docs/operations/configuration.md whose variables a container reads, by its argument.
SECTIONS = {
    "gateway": ["Both nodes", "`postern gateway`"],
    "worker": ["Both nodes", "`postern worker`"],
    "migrate": ["Both nodes", "`postern worker`"],
    "publish": ["`postern gateway`"],
    "smoke-test": ["`postern gateway`"],
}

findings = []


def report(where, what):
    findings.append(f"{where}: {what}")


def main():
    values_text = (CHART / "values.yaml").read_text()
    defaults = yaml.safe_load(values_text)
    schema = json.loads((CHART / "values.schema.json").read_text())
    table = values_table(values_text)
    if sys.argv[1:] == ["--write"]:
        write_table(table)
        return
    # Each parse of these files takes a quarter of a second, and each resource asks for them.
    kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)

    check_table(table)
    check_schema(defaults, schema)
    files = sorted((CHART / "ci").glob("*-values.yaml"))
    examples = {path.name: yaml.safe_load(path.read_text()) for path in files}
    check_coverage(defaults, schema, examples)
    for path in files:
        lint(path)
        for version in KUBERNETES:
            resources = render(path, version)
            for resource in resources:
                validate(f"{path.name}, Kubernetes {version}", resource, version)
        for resource in resources:
            for pod in pods(resource):
                where = f"{path.name}: {resource['kind']} {resource['metadata']['name']}"
                for what in restricted_faults(pod):
                    report(where, f"restricted Pod Security: {what}")
                check_variables(where, pod)
    checks = [check_rendering, check_health_and_internal_api, check_secrets, check_internal_files, check_helm_test, check_monitoring]
    for check in checks:
        try:
            check()
        except RuntimeError as error:
            report("helm template", error)
    check_refusals()

    if findings:
        print("\n".join(findings), file=sys.stderr)
        sys.exit(f"{len(findings)} findings in the chart")
    print(f"{len(files)} files of values are valid for Kubernetes {', '.join(KUBERNETES)}")


# Helm


def helm(*arguments, values=None):
    """Output of helm, or its error as an exception. `values` are added to those of minimal-values.yaml."""
    arguments = [str(argument) for argument in arguments]
    with tempfile.TemporaryDirectory() as home:
        if values is not None:
            more = pathlib.Path(home) / "values.yaml"
            more.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
            arguments += ["--values", str(CHART / "ci/minimal-values.yaml"), "--values", str(more)]
        # An empty home: no plugin or setting of this machine has an effect.
        environment = {"HOME": home, "PATH": os.environ.get("PATH", "")}
        done = subprocess.run([HELM, *arguments], env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() + done.stdout.strip())
    return done.stdout


def template(*arguments, values=None):
    output = helm("template", "postern", CHART, *arguments, values=values)
    return [resource for resource in yaml.load_all(output, Loader=yaml.CSafeLoader) if resource]


def lint(path):
    try:
        helm("lint", "--strict", "--quiet", CHART, "--values", path)
    except RuntimeError as error:
        report(f"{path.name}: helm lint", error)


def render(path, version):
    try:
        return template("--kube-version", version, "--values", path)
    except RuntimeError as error:
        report(f"{path.name}: helm template for Kubernetes {version}", error)
        return []


def one(resources, kind, name):
    for resource in resources:
        if resource["kind"] == kind and resource["metadata"]["name"] == name:
            return resource
    raise RuntimeError(f"no {kind} {name} is rendered")


# Schemas


def validate(where, resource, version):
    name = f"{resource['apiVersion']}/{resource['kind']}"
    where = f"{where}: {name} {resource['metadata']['name']}"
    custom = custom_resources()
    try:
        if name in custom["kinds"]:
            spec = {**custom["kinds"][name], "definitions": custom["definitions"]}
            jsonschema.validate(resource["spec"], spec)
        else:
            kubernetes_validate.validate(resource, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        report(where, f"{'.'.join(map(str, error.path))}: {error.message}")
    except kubernetes_validate.SchemaNotFoundError:
        report(where, "there is no schema of it; write one in custom-resources.yaml")


@functools.cache
def custom_resources():
    return yaml.safe_load((HERE / "custom-resources.yaml").read_text())


def check_schema(defaults, schema):
    """Every value has a type in the schema, and a misspelt or mistyped one is refused."""
    validator = jsonschema.Draft7Validator(schema)
    for error in validator.iter_errors(defaults):
        report(f"values.yaml: {'.'.join(map(str, error.path))}", error.message)
    for path, described, _ in all_values(defaults, schema):
        name = ".".join(path)
        if described is None:
            report(f"values.schema.json: {name}", "is not described")
            continue
        if "properties" in described:
            if validator.is_valid(changed(defaults, [*path, "misspelt"], "x")):
                report(f"values.schema.json: {name}", "admits a misspelt key")
        if validator.is_valid(changed(defaults, path, [["mistyped"]])):
            report(f"values.schema.json: {name}", "admits a value of a wrong type")
    if validator.is_valid({**defaults, "misspelt": "x"}):
        report("values.schema.json", "admits a misspelt key")


def all_values(values, schema):
    """Path, schema and default of each value. Free maps, such as labels, are one value."""

    def below(part, described, path):
        for key, value in part.items():
            inner = described["properties"].get(key)
            while inner and "$ref" in inner:
                inner = schema["definitions"][inner["$ref"].removeprefix("#/definitions/")]
            yield [*path, key], inner, value
            if isinstance(value, dict) and inner and "properties" in inner:
                yield from below(value, inner, [*path, key])

    return below(values, schema, [])


def changed(values, path, value):
    values = copy.deepcopy(values)
    part = values
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return values


def check_coverage(defaults, schema, examples):
    """Each value is set by one of the files at least, so that each template is rendered with it."""
    for path, described, _ in all_values(defaults, schema):
        if described and "properties" not in described and not any(is_set(values, path) for values in examples.values()):
            report("ci", f"no file of values sets {'.'.join(path)}")


def is_set(values, path):
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


# Values that were rendered or accepted wrongly once


def check_rendering():
    numbers = {"A": 7123456789, "B": 1000000, "C": 0.25, "D": True, "E": "01", "F": 0, "G": -1.5}
    resources = template(values={"gateway": {"env": numbers, "drainSeconds": 60, "drainDelaySeconds": 20}})
    gateway = one(resources, "Deployment", "postern-gateway")
    pod = gateway["spec"]["template"]["spec"]
    rendered = {variable["name"]: variable.get("value") for variable in pod["containers"][0]["env"]}
    expected = {"A": "7123456789", "B": "1000000", "C": "0.25", "D": "true", "E": "01", "F": "0", "G": "-1.5"}
    expected |= {"POSTERN_DRAIN_DELAY": "20s", "POSTERN_DRAIN_WINDOW": "60s"}
    names = ["K8S_NAMESPACE_NAME", "K8S_POD_NAME", "K8S_NODE_NAME"]
    expected["OTEL_RESOURCE_ATTRIBUTES"] = ",".join(f"{name.lower().replace('_', '.')}=$({name})" for name in names)
    for name, value in expected.items():
        expect(f"env {name}", rendered.get(name), value)
    expect("grace period of gateways", pod["terminationGracePeriodSeconds"], 20 + 60 + 15)
    # kube-proxy sends no connection to a terminating pod that is not ready, and a balancer that checks nodes still does.
    expect("readiness in a drain", pod["containers"][0]["readinessProbe"]["httpGet"]["path"], "/readyz?exclude=draining")
    expect("replicas", gateway["spec"].get("replicas"), 2)
    expect("maxUnavailable", gateway["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0)
    spread = pod["topologySpreadConstraints"][0]
    expect("matchLabelKeys", spread.get("matchLabelKeys"), ["pod-template-hash"])

    worker = one(resources, "Deployment", "postern-worker")["spec"]["template"]["spec"]
    expect("grace period of workers", worker["terminationGracePeriodSeconds"] >= 34, True)
    for name in ("postern-gateway", "postern-worker"):
        budget = one(resources, "PodDisruptionBudget", name)["spec"]
        expect(f"eviction policy of {name}", budget.get("unhealthyPodEvictionPolicy"), "AlwaysAllow")
    sealed = one(resources, "NetworkPolicy", "postern-gateway")["spec"]
    expect("policy types of gateways", sorted(sealed["policyTypes"]), ["Egress", "Ingress"])
    ports = sorted({port["port"] for rule in sealed["egress"] for port in rule["ports"]})
    expect("ports that gateways reach", ports, [53, 6379])
    gateway_defaults = yaml.safe_load((CHART / "values.yaml").read_text())["gateway"]
    # A rollout does not wait for pods that drain: at most two drain at the same time.
    expect("minReadySeconds", 2 * gateway_defaults["minReadySeconds"] >= gateway_defaults["drainSeconds"], True)
    # 8 s x 3 failed checks, the slowest of the large clouds' defaults for externalTrafficPolicy Local, and 5 s.
    expect("default drain delay", gateway_defaults["drainDelaySeconds"] >= 29, True)

    migrate = one(resources, "Job", "postern-migrate")["spec"]
    expect("resources of the migration", sorted(migrate["template"]["spec"]["containers"][0].get("resources", {})), ["limits", "requests"])
    expect("deadline of the migration", migrate.get("activeDeadlineSeconds"), 600)

    saturated = {"autoscaling": {"enabled": True, "targetCPU": None, "targetSaturation": 70}}
    metrics = one(template(values={"gateway": saturated}), "HorizontalPodAutoscaler", "postern-gateway")["spec"]["metrics"]
    expect("target of saturation", [metric["pods"]["target"]["averageValue"] for metric in metrics], ["700m"])
    scaled = {"autoscaling": {"enabled": True}}
    for values in ({"gateway": scaled, "worker": scaled}, {"gateway": {"replicas": None}, "worker": {"replicas": None}}):
        resources = template(values=values)
        for name in ("postern-gateway", "postern-worker"):
            expect(f"replicas of {name} with {values}", "replicas" in one(resources, "Deployment", name)["spec"], False)


def check_health_and_internal_api():
    """Each of the ports admits its own peers; no Service has the health port; a public key and tokens can be mounted."""
    values = {"gateway": {"jwtPublicKey": {"existingConfigMap": "issuer", "key": "issuer.pem"}}}
    resources = template(values=values)
    pod = one(resources, "Deployment", "postern-gateway")["spec"]["template"]["spec"]
    gateway = pod["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in gateway["ports"]}
    expect("ports of gateways", ports, {"public": 8443, "health": 9090, "internal": 9091})
    expect("readiness port", gateway["readinessProbe"]["httpGet"]["port"], "health")
    services = {port["targetPort"] for resource in resources if resource["kind"] == "Service" for port in resource["spec"]["ports"]}
    expect("ports with a Service", services, {"public", "internal"})
    admitted = {}
    for rule in one(resources, "NetworkPolicy", "postern-gateway")["spec"]["ingress"]:
        admitted |= {port["port"]: rule.get("from") for port in rule["ports"]}
    expect("peers of gateways", admitted, {"public": None, "health": [{"namespaceSelector": {}}], "internal": [{"podSelector": {}}]})

    variables = {variable["name"]: variable.get("value") for variable in gateway["env"]}
    path = variables.get("POSTERN_JWT_PUBLIC_KEY", "")
    mounts = {mount["mountPath"]: mount["name"] for mount in gateway["volumeMounts"]}
    volume = next((volume for volume in pod["volumes"] if volume["name"] == mounts.get(os.path.dirname(path))), {})
    expect("volume of the public key", volume.get("configMap", {}).get("name"), "issuer")


def check_secrets():
    """Secrets are files of the pod and no variables, so that a node reads them again; a gateway has none that it does not use."""
    for values, expected in [
        ({}, ["POSTERN_REDIS_URL", "POSTERN_JWT_HS256_SECRET", "POSTERN_INTERNAL_TOKEN"]),
        ({"gateway": {"jwtPublicKey": {"existingSecret": "issuer"}}}, ["POSTERN_REDIS_URL", "POSTERN_INTERNAL_TOKEN"]),
        ({"gateway": {"secretKeys": ["POSTERN_REDIS_URL"]}}, ["POSTERN_REDIS_URL"]),
    ]:
        resources = template(values=values)
        workers = ["POSTERN_REDIS_URL", "POSTERN_DATABASE_URL", "POSTERN_VAULT_KEYS"]
        for name, keys in [("postern-gateway", expected), ("postern-worker", workers)]:
            pod = one(resources, "Deployment", name)["spec"]["template"]["spec"]
            container, volume = pod["containers"][0], pod["volumes"][0]["secret"]
            expect(f"keys that {name} mounts", [item["key"] for item in volume["items"]], keys)
            variables = {variable["name"]: variable.get("value") for variable in container["env"]}
            files = {name: value for name, value in variables.items() if name.endswith("_FILE")}
            expect(f"files of {name}", files, {f"{key}_FILE": f"/secrets/{key}" for key in keys})
            expect(f"secrets in variables of {name}", "envFrom" in container, False)
            mounted = {"name": "secrets", "mountPath": "/secrets", "readOnly": True} in container["volumeMounts"]
            expect(f"mount of {name}", mounted, True)


def check_internal_files():
    """Tokens, certificate and authorities of the internal API are mounted where its variables point."""
    internal = {"tokens": {"existingSecret": "callers"}, "tls": {"existingSecret": "tls"}, "clientCA": {"existingSecret": "ca"}}
    resources = template(values={"gateway": {"internalApi": internal}})
    pod = one(resources, "Deployment", "postern-gateway")["spec"]["template"]["spec"]
    variables = {variable["name"]: variable.get("value") for variable in pod["containers"][0]["env"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume.get("secret", {}).get("secretName") for volume in pod["volumes"]}
    for name, secret, file in [
        ("POSTERN_INTERNAL_TOKENS_FILE", "callers", "tokens.json"),
        ("POSTERN_INTERNAL_TLS_CERT", "tls", "tls.crt"),
        ("POSTERN_INTERNAL_TLS_KEY", "tls", "tls.key"),
        ("POSTERN_INTERNAL_CLIENT_CA", "ca", "ca.crt"),
    ]:
        folder, _, found = variables.get(name, "").rpartition("/")
        expect(f"file and Secret of {name}", (found, volumes.get(mounts.get(folder))), (file, secret))
    expect("test pods with TLS of the internal API", [part["kind"] for part in resources if part["kind"] == "Pod"], [])


def check_helm_test():
    """`helm test` opens a socket unless the gateways refuse the test's pod, or no token can be had."""
    token = {"token": {"existingSecret": "token"}}
    for values, command in [
        ({}, "smoke-test"),
        ({"gateway": {"jwtPublicKey": {"existingConfigMap": "issuer"}}}, "publish"),
        ({"gateway": {"jwtPublicKey": {"existingConfigMap": "issuer"}}, "test": token}, "smoke-test"),
        ({"gateway": {"proxyProtocol": "required", "trustedProxies": ["192.0.2.1"]}}, "publish"),
        ({"test": {"socket": False}}, "publish"),
    ]:
        pod = one(template(values=values), "Pod", "postern-test")["spec"]
        expect(f"command of helm test with {values}", pod["containers"][0]["args"][0], command)
        for volume in pod.get("volumes", []):
            keys = [item["key"] for item in volume["secret"].get("items", [])]
            expect(f"key of {volume['name']} in the test's pod", "tls.key" in keys or not keys, False)


def check_monitoring():
    """All rules are rendered, an alert can be left out, and links lead to the runbook. monitoring.py checks the rules themselves."""
    prefix = "https://git.example.com/"
    rule = {"enabled": True, "disabled": ["PosternTokensRefused"], "runbookPrefix": prefix}
    resources = template(values={"metrics": {"prometheusRule": rule, "dashboards": {"enabled": True}}})
    rendered = one(resources, "PrometheusRule", "postern")["spec"]["groups"]
    groups = [group for path in sorted(CHART.glob("rules/*.yaml")) for group in yaml.safe_load(path.read_text())["groups"]]
    for group in groups:
        group["rules"] = [rule for rule in group["rules"] if rule.get("alert") != "PosternTokensRefused"]
        for rule in group["rules"]:
            if "alert" in rule:
                rule["annotations"]["runbook_url"] = prefix + rule["annotations"]["runbook_url"]
    expect("rules", rendered, groups)
    for path in CHART.glob("dashboards/*.json"):
        data = one(resources, "ConfigMap", f"postern-dashboard-{path.stem}")["data"]
        expect(f"dashboard {path.name}", json.loads(data[path.name]), json.loads(path.read_text()))


def expect(what, found, expected):
    if found != expected:
        report("rendered", f"{what}: {found!r}, not {expected!r}")


def check_refusals():
    """Helm itself refuses these values, and names the value or the fault."""
    for values, named in [
        ("gateway: {drainSeconds: 30s}", "gateway.drainSeconds"),
        ("gateway: {drainDelaySeconds: '5'}", "gateway.drainDelaySeconds"),
        ("gateway: {replica: 3}", "replica"),
        ("gateways: {replicas: 3}", "gateways"),
        ("worker: {terminationGracePeriodSeconds: 20}", "worker.terminationGracePeriodSeconds"),
        ("worker: {drainSeconds: 20}", "drainSeconds"),
        ("worker: {env: {POSTERN_VAULT_KEYS: 'k1:x'}}", "POSTERN_VAULT_KEYS"),
        ("gateway: {env: {POSTERN_LISTEN: '0.0.0.0:1'}}", "POSTERN_LISTEN"),
        ("worker: {env: {POSTERN_DISCORD_CLIENT_ID: 1099511627776000123}}", "POSTERN_DISCORD_CLIENT_ID"),
        ("gateway: {internalApi: {clientCA: {existingSecret: ca}}}", "gateway.internalApi.tls.existingSecret is required"),
        ("gateway: {proxyProtocol: required}", "gateway.trustedProxies is required"),
        ("gateway: {proxyProtocol: off}", "gateway.proxyProtocol"),
        ("gateway: {trustedProxies: [balancer.example.com]}", "gateway.trustedProxies"),
        ("gateway: {maxSockets: 20k}", "gateway.maxSockets"),
        ("image: {tag: 1.20}", "image.tag"),
        ("image: {digest: 'sha256:abc'}", "image.digest"),
        ("gateway: {service: {type: Loadbalancer}}", "gateway.service.type"),
        ("gateway: {existingSecret: ''}", "gateway.existingSecret is required"),
        ("gateway: {env: {POSTERN_JWKS_URL: 'https://id.example.com/keys'}}", "networkPolicy.jwksCIDRs is required"),
        ("gateway: {jwtPublicKey: {existingSecret: a, existingConfigMap: b}}", "exclude each other"),
        ("gateway: {autoscaling: {enabled: true, targetCPU: null}}", "without a metric"),
        ("gateway: {autoscaling: {enabled: true, minReplicas: 11}}", "maxReplicas is below minReplicas"),
    ]:
        try:
            template(values=values)
            report("helm template", f"does not refuse {values}")
        except RuntimeError as error:
            if named not in str(error):
                report("helm template", f"refuses {values} without naming {named}: {error}")


# Pods


def pods(resource):
    spec = resource.get("spec", {})
    if resource["kind"] == "Pod":
        yield spec
    elif "template" in spec:
        yield spec["template"]["spec"]


def check_variables(where, pod):
    documented = documented_variables()
    for container in pod["containers"]:
        part = container["args"][0]
        known = set().union(*(documented.get(section, set()) for section in SECTIONS.get(part, [])))
        names = [variable["name"] for variable in container.get("env", [])]
        for name in names:
            # Which variables have a file is checked by the binary: `postern config check`.
            if name.startswith("POSTERN_") and name not in known and name.removesuffix("_FILE") not in known:
                report(where, f"{name} is not described for `postern {part}` in {CONFIGURATION.name}")
            if names.count(name) > 1:
                report(where, f"{name} is set twice")


@functools.cache
def documented_variables():
    """Variables in the first column of the tables, by section."""
    variables, section = {}, None
    for line in CONFIGURATION.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and section:
            variables.setdefault(section, set()).update(re.findall(r"`(POSTERN_\w+)`", line.split("|")[1]))
    return variables


def restricted_faults(pod):
    """Faults by the policy `restricted` of the Pod Security Standards."""
    own = pod.get("securityContext", {})
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield key
    if own.get("sysctls"):
        yield "sysctls"
    for volume in pod.get("volumes", []):
        kinds = set(volume) - {"name"}
        allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
        if not kinds <= allowed:
            yield f"volume {volume['name']} of kind {', '.join(kinds - allowed)}"
    for container in pod["containers"] + pod.get("initContainers", []):
        context = container.get("securityContext", {})
        name = container["name"]
        effective = {**own, **context}
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation is not false"
        if context.get("privileged"):
            yield f"{name}: privileged"
        if "ALL" not in context.get("capabilities", {}).get("drop", []):
            yield f"{name}: capabilities are not dropped"
        if set(context.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{name}: capabilities are added"
        if effective.get("runAsNonRoot") is not True:
            yield f"{name}: runAsNonRoot is not true"
        if effective.get("runAsUser") == 0:
            yield f"{name}: runAsUser is 0"
        if effective.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{name}: no seccompProfile"
        if context.get("procMount", "Default") != "Default":
            yield f"{name}: procMount"
        if any(port.get("hostPort") for port in container.get("ports", [])):
            yield f"{name}: hostPort"
        if any((container.get(probe) or {}).get("httpGet", {}).get("host") for probe in ("livenessProbe", "readinessProbe", "startupProbe")):
            yield f"{name}: host of a probe"
    if any(key in own for key in ("seLinuxOptions", "appArmorProfile", "windowsOptions")):
        yield "seLinuxOptions, appArmorProfile or windowsOptions"


# README


def values_table(text):
    """A row for each value: path, default, and the comment above it."""
    root = yaml.compose(text)
    lines = text.splitlines()
    rows = ["| value | default | |", "| --- | --- | --- |"]
    rows += [f"| `{path}` | {default} | {comment} |" for path, default, comment in described_values(root, lines, "")]
    return "\n".join(rows)


def described_values(node, lines, prefix):
    for key, value in node.value:
        path = prefix + key.value
        comment = comment_above(lines, key.start_mark)
        if isinstance(value, yaml.MappingNode) and value.value and not value.flow_style:
            if comment:
                yield path, "", comment
            yield from described_values(value, lines, path + ".")
        else:
            default = yaml.safe_load(yaml.serialize(value))
            default = json.dumps(default, ensure_ascii=False) if isinstance(default, (dict, list)) else value.value
            yield path, f"`{default}`" if default else "", comment


def comment_above(lines, mark):
    comment, number = [], mark.line - 1
    while number >= 0 and lines[number].startswith(" " * mark.column + "# "):
        comment.insert(0, lines[number].strip().removeprefix("# "))
        number -= 1
    return " ".join(comment).replace("|", "\\|")


BEGIN, END = "<!-- values: written by charts/check -->\n", "\n<!-- end of values -->"


def readme_parts():
    before, rest = (CHART / "README.md").read_text().split(BEGIN)
    table, after = rest.split(END)
    return before, table, after


def check_table(table):
    if readme_parts()[1] != table:
        report("README.md", "its table differs from values.yaml: run charts/check --write")


def write_table(table):
    before, _, after = readme_parts()
    (CHART / "README.md").write_text(before + BEGIN + table + END + after)


if __name__ == "__main__":
    main()
