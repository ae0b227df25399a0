{{/* Templates shared by gateways, workers and the migration. Each is called with a dict of `root` (the chart's
context) and `part` (its name); `values` are the values of that part. */}}

{{- define "postern.chartName" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 46 | trimSuffix "-" }}
{{- end }}

{{/* Beginning of all names. 46 characters leave room for the longest ending, `-gateway-internal`. */}}
{{- define "postern.fullname" -}}
{{- $name := include "postern.chartName" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 46 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 46 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 46 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "postern.name" -}}
{{ include "postern.fullname" .root }}-{{ .part }}
{{- end }}

{{- define "postern.selector" -}}
app.kubernetes.io/name: {{ include "postern.chartName" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "postern.labels" -}}
{{ include "postern.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "postern.podLabels" -}}
{{ include "postern.labels" . }}
{{- with .values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "postern.tlsSecret" -}}
{{- $tls := .Values.gateway.tls -}}
{{- if $tls.certManager.enabled -}}
{{ $tls.existingSecret | default (printf "%s-gateway-tls" (include "postern.fullname" .)) }}
{{- else -}}
{{ required "gateway.tls.existingSecret or gateway.tls.certManager.enabled is required" $tls.existingSecret }}
{{- end }}
{{- end }}

{{/* Text of a value of `env`. Helm reads all numbers as floats and would print `7.123456789e+09`. */}}
{{- define "postern.text" -}}
{{- if kindIs "float64" . -}}
{{- if eq . (floor .) }}{{ printf "%.0f" . }}{{ else }}{{ regexReplaceAll "[.]?0+$" (printf "%f" .) "" }}{{ end -}}
{{- else -}}
{{ toString . }}
{{- end }}
{{- end }}

{{/* Attributes of a pod's telemetry, of which its own variables may make others. */}}
{{- define "postern.telemetryEnv" -}}
- { name: K8S_NAMESPACE_NAME, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
- { name: K8S_POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
- { name: K8S_NODE_NAME, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
{{- if not (hasKey .values.env "OTEL_RESOURCE_ATTRIBUTES") }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name=$(K8S_NAMESPACE_NAME),k8s.pod.name=$(K8S_POD_NAME),k8s.node.name=$(K8S_NODE_NAME)
{{- end }}
{{- end }}

{{- define "postern.env" -}}
{{- range $name, $value := .values.env }}
- { name: {{ $name }}, value: {{ include "postern.text" $value | quote }} }
{{- end }}
{{- with .values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Secrets of a part: mounted as files, so that the node reads them again when Kubernetes has replaced them. */}}
{{- define "postern.secretEnv" -}}
{{- range .keys }}
- { name: {{ . }}_FILE, value: /secrets/{{ . }} }
{{- end }}
{{- end }}

{{- define "postern.secretVolume" -}}
- name: secrets
  secret:
    secretName: {{ .values.existingSecret }}
    defaultMode: 0440
    items:
      {{- range .keys }}
      - { key: {{ . }}, path: {{ . }} }
      {{- end }}
{{- end }}

{{/* TLS of Redis: variables, mounts and volumes of its files. */}}
{{- define "postern.redisTlsEnv" -}}
{{- $tls := .root.Values.redisTls -}}
{{- if and $tls.ca.existingSecret $tls.ca.existingConfigMap }}
{{- fail "redisTls.ca: existingSecret and existingConfigMap exclude each other" }}
{{- end }}
{{- if or $tls.ca.existingSecret $tls.ca.existingConfigMap }}
- { name: POSTERN_REDIS_CA, value: /redis-ca/{{ $tls.ca.key }} }
{{- end }}
{{- if $tls.client.existingSecret }}
- { name: POSTERN_REDIS_CERT, value: /redis-client/tls.crt }
- { name: POSTERN_REDIS_KEY, value: /redis-client/tls.key }
{{- end }}
{{- end }}

{{- define "postern.redisTlsMounts" -}}
{{- $tls := .root.Values.redisTls -}}
{{- if or $tls.ca.existingSecret $tls.ca.existingConfigMap }}
- { name: redis-ca, mountPath: /redis-ca, readOnly: true }
{{- end }}
{{- if $tls.client.existingSecret }}
- { name: redis-client, mountPath: /redis-client, readOnly: true }
{{- end }}
{{- end }}

{{- define "postern.redisTlsVolumes" -}}
{{- $tls := .root.Values.redisTls -}}
{{- if $tls.ca.existingSecret }}
- name: redis-ca
  secret:
    secretName: {{ $tls.ca.existingSecret }}
    defaultMode: 0440
{{- else if $tls.ca.existingConfigMap }}
- name: redis-ca
  configMap:
    name: {{ $tls.ca.existingConfigMap }}
{{- end }}
{{- if $tls.client.existingSecret }}
- name: redis-client
  secret:
    secretName: {{ $tls.client.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{/* Annotations of pods. A changed version of a Secret replaces the pods. */}}
{{- define "postern.podAnnotations" -}}
{{- $root := .root -}}
{{- $annotations := deepCopy (.values.podAnnotations | default dict) -}}
{{- if $root.Values.rolloutOnSecretChange -}}
{{- range $name := .secrets -}}
{{- with (lookup "v1" "Secret" $root.Release.Namespace $name) -}}
{{- $_ := set $annotations (printf "secret-version/%s" $name | trunc 78 | trimSuffix "-") .metadata.resourceVersion -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $annotations }}
annotations:
{{ toYaml . | indent 2 }}
{{- end }}
{{- end }}

{{/* Pod: its user, its place, and no token for the cluster's API. */}}
{{- define "postern.pod" -}}
automountServiceAccountToken: false
# Kubernetes would set variables for its Services, some of which begin with POSTERN_.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext: {{ toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "postern.serviceAccount" -}}
{{- $account := .root.Values.serviceAccount -}}
{{- if $account.create -}}
serviceAccountName: {{ $account.name | default (include "postern.fullname" .root) }}
{{- else if $account.name -}}
serviceAccountName: {{ $account.name }}
{{- end }}
{{- end }}

{{/* Container: the image and its restrictions. */}}
{{- define "postern.container" -}}
{{- $image := .root.Values.image -}}
{{- $repository := required "image.repository is required" $image.repository -}}
{{- if $image.digest -}}
image: {{ printf "%s@%s" $repository $image.digest }}
{{- else -}}
image: {{ printf "%s:%s" $repository ($image.tag | default .root.Chart.AppVersion) }}
{{- end }}
imagePullPolicy: {{ $image.pullPolicy }}
securityContext: {{ toYaml .root.Values.securityContext | nindent 2 }}
resources: {{ toYaml .values.resources | nindent 2 }}
{{- end }}

{{/* Probes of the health listener. A draining gateway must stay ready for Kubernetes until its port closes: kube-proxy sends no
connection to a terminating pod that is not ready, while a balancer that checks nodes still sends them there. A terminating pod with a
ready sibling receives none in any case. */}}
{{- define "postern.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: health }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /livez, port: health }
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: { path: "/readyz?exclude=draining", port: health }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{/* Number of pods, unless an autoscaler sets it, and their rollout. */}}
{{- define "postern.rollout" -}}
{{- if not (or .values.autoscaling.enabled (kindIs "invalid" .values.replicas)) -}}
replicas: {{ int64 .values.replicas }}
{{ end -}}
minReadySeconds: {{ int64 .values.minReadySeconds }}
strategy:
  rollingUpdate: { maxUnavailable: 0, maxSurge: {{ .values.maxSurge }} }
selector:
  matchLabels: {{ include "postern.selector" . | nindent 4 }}
{{- end }}

{{/* Spreads the pods of one part over nodes. matchLabelKeys counts the pods of each version apart: without it the new
pods of a rollout avoid the nodes of old ones, and may all meet on one node. */}}
{{- define "postern.spread" -}}
{{- if .values.topologySpreadConstraints -}}
topologySpreadConstraints: {{ toYaml .values.topologySpreadConstraints | nindent 2 }}
{{- else -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "postern.selector" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
