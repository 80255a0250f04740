# Alerts are the policies that policies.py writes from rules.yaml; pages go to Slack and by e-mail, tickets to Slack alone.
locals {
  folder   = "${path.module}/../observability/cloud-monitoring"
  policies = { for name in fileset(local.folder, "*.json") : trimsuffix(name, ".json") => jsondecode(file("${local.folder}/${name}")) }
  channels = {
    ticket = [google_monitoring_notification_channel.slack.id]
    page   = [google_monitoring_notification_channel.slack.id, google_monitoring_notification_channel.email.id]
  }
}

resource "google_monitoring_notification_channel" "email" {
  display_name = "Prosa: on call"
  type         = "email"
  labels       = { email_address = var.on_call_email }
}

resource "google_monitoring_notification_channel" "slack" {
  display_name = "Prosa: alerts"
  type         = "slack"
  labels       = { channel_name = var.slack_channel }
  sensitive_labels {
    auth_token = var.slack_token
  }
}

resource "google_monitoring_alert_policy" "alert" {
  for_each              = local.policies
  display_name          = each.value.displayName
  combiner              = each.value.combiner
  severity              = each.value.severity
  user_labels           = each.value.userLabels
  notification_channels = local.channels[each.value.userLabels.severity]
  documentation {
    content   = each.value.documentation.content
    mime_type = each.value.documentation.mimeType
  }
  dynamic "conditions" {
    for_each = each.value.conditions
    content {
      display_name = conditions.value.displayName
      condition_prometheus_query_language {
        query               = conditions.value.conditionPrometheusQueryLanguage.query
        duration            = conditions.value.conditionPrometheusQueryLanguage.duration
        evaluation_interval = conditions.value.conditionPrometheusQueryLanguage.evaluationInterval
        rule_group          = conditions.value.conditionPrometheusQueryLanguage.ruleGroup
        alert_rule          = conditions.value.conditionPrometheusQueryLanguage.alertRule
      }
    }
  }
}
