{{/* Templates shared by gateways, workers and the migration. Each is called with a dict of `root` (the chart's
context) and `part` (its name). */}}

{{- define "postern.name" -}}
{{ printf "%s-%s" .root.Release.Name .part | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "postern.selector" -}}
app.kubernetes.io/name: postern
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "postern.labels" -}}
{{ include "postern.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* Pod: its user, and no token for the cluster's API. */}}
{{- define "postern.pod" -}}
automountServiceAccountToken: false
# Kubernetes would set variables for its Services, some of which begin with POSTERN_.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # Group of the mounted certificate.
  fsGroup: 65532
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* Container: the image and its restrictions. */}}
{{- define "postern.container" -}}
{{- $image := .root.Values.image -}}
image: {{ printf "%s:%s" (required "image.repository is required" $image.repository) ($image.tag | default .root.Chart.AppVersion) }}
imagePullPolicy: {{ $image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{/* Probes of the internal listener. A draining node is not ready. */}}
{{- define "postern.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: internal }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /livez, port: internal }
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: { path: /readyz, port: internal }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{/* Spreads the pods of one part over nodes. */}}
{{- define "postern.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "postern.selector" . | nindent 8 }}
{{- end }}
