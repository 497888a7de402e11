{{- define "pegbox.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "pegbox.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "pegbox.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "pegbox.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "pegbox.selector" -}}
app.kubernetes.io/name: {{ include "pegbox.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pegbox.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "pegbox.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "pegbox.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "pegbox.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is empty: name the account to use, or set serviceAccount.create" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "pegbox.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- /* What the operator reads at its start; the same for its ConfigMap and for the checksum that restarts it. */ -}}
{{- define "pegbox.config" -}}
metricsSources:
{{- toYaml .Values.metricsSources | nindent 0 }}
watchNamespaces: {{ toJson .Values.watchNamespaces }}
allowWrites: {{ .Values.mode.allowWrites }}
leaderElection:
  enabled: {{ .Values.operator.leaderElection.enabled }}
  namespace: {{ .Release.Namespace }}
  name: {{ include "pegbox.fullname" . }}
http:
  port: {{ .Values.http.port }}
workers: {{ .Values.operator.workers }}
kubeQps: {{ .Values.operator.kubeQps }}
nudgePods: {{ .Values.operator.nudgePods }}
logFormat: {{ .Values.operator.logFormat }}
{{ toYaml .Values.brakes }}
{{- end -}}

{{- /* Bind a cluster role to the operator: everywhere, or in each watched namespace. */ -}}
{{- define "pegbox.bind" -}}
{{- $root := .root -}}
{{- $role := printf "%s-%s" (include "pegbox.fullname" $root) .role -}}
{{- range $namespace := ($root.Values.watchNamespaces | default (list "")) }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ empty $namespace | ternary "ClusterRoleBinding" "RoleBinding" }}
metadata:
  name: {{ $role }}
  {{- with $namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "pegbox.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $role }}
subjects:
- kind: ServiceAccount
  name: {{ include "pegbox.serviceAccount" $root }}
  namespace: {{ $root.Release.Namespace }}
{{- end }}
{{- end -}}
