variable "project" {
  type        = string
  description = "Id of the Google Cloud project: one for staging, one for production."
}

variable "region" {
  type        = string
  description = "Region of everything, the database included."
}

variable "on_call_email" {
  type        = string
  description = "Address that pages go to."
}

variable "slack_channel" {
  type        = string
  description = "Channel of the alerts, with its #."
}

variable "slack_token" {
  type        = string
  sensitive   = true
  description = "OAuth token of Cloud Monitoring's Slack app (TF_VAR_slack_token)."
}
