# Everything that Prosa needs in one Google Cloud project, for the Cloud Tasks engine: the same as `render.py cloud_tasks setup`,
# as state. The services themselves are deployed by `render.py ... release`: their revision changes with each release.
terraform {
  required_version = ">= 1.9"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

locals {
  apis = toset([
    "artifactregistry", "clouddeploy", "cloudscheduler", "cloudtasks", "firestore", "monitoring", "run", "secretmanager",
  ])
  accounts = {
    webhook = "Answers platforms: inbox and console"
    worker  = "Works on conversations: model and sends"
    caller  = "Name in the tokens of queue and scheduler"
    release = "Deploys, watches and rolls back"
  }
  # Each secret with the accounts that read it, and no other.
  secrets = {
    prosa-console-token         = ["webhook", "worker"]
    prosa-collector             = ["webhook", "worker"]
    prosa-id-salt               = ["webhook", "worker"]
    prosa-anthropic-api-key     = ["worker"]
    prosa-whatsapp-app-secret   = ["webhook"]
    prosa-whatsapp-verify-token = ["webhook"]
    prosa-whatsapp-access-token = ["worker"]
  }
  readers = merge([
    for secret, accounts in local.secrets : { for account in accounts : "${secret}/${account}" => { secret = secret, account = account } }
  ]...)
  roles = {
    "webhook/datastore.user"          = ["webhook", "roles/datastore.user"]
    "worker/datastore.user"           = ["worker", "roles/datastore.user"]
    "webhook/monitoring.metricWriter" = ["webhook", "roles/monitoring.metricWriter"]
    "worker/monitoring.metricWriter"  = ["worker", "roles/monitoring.metricWriter"]
    "release/clouddeploy.jobRunner"   = ["release", "roles/clouddeploy.jobRunner"]
    "release/clouddeploy.operator"    = ["release", "roles/clouddeploy.operator"]
    "release/monitoring.viewer"       = ["release", "roles/monitoring.viewer"]
    "release/run.admin"               = ["release", "roles/run.admin"]
  }
  tasks_url = "https://prosa-tasks-${data.google_project.this.number}.${var.region}.run.app"
}

data "google_project" "this" {}

resource "google_project_service" "api" {
  for_each           = local.apis
  service            = "${each.value}.googleapis.com"
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "images" {
  repository_id = "prosa"
  location      = var.region
  format        = "DOCKER"
  depends_on    = [google_project_service.api]
}

resource "google_service_account" "account" {
  for_each     = local.accounts
  account_id   = "prosa-${each.key}"
  display_name = each.value
}

resource "google_project_iam_member" "role" {
  for_each = local.roles
  project  = var.project
  role     = each.value[1]
  member   = google_service_account.account[each.value[0]].member
}

resource "google_service_account_iam_member" "webhook_speaks_for_caller" {
  service_account_id = google_service_account.account["caller"].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.account["webhook"].member
}

resource "google_service_account_iam_member" "release_deploys_as" {
  for_each           = toset(["webhook", "worker", "release"])
  service_account_id = google_service_account.account[each.value].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.account["release"].member
}

# Values are added by hand (`gcloud secrets versions add`), so that none is in the state.
resource "google_secret_manager_secret" "secret" {
  for_each  = local.secrets
  secret_id = each.key
  replication {
    auto {}
  }
  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each  = local.readers
  secret_id = google_secret_manager_secret.secret[each.value.secret].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.account[each.value.account].member
}

# Unlimited attempts with bounded pauses: a task whose attempts are used up is deleted in silence.
resource "google_cloud_tasks_queue" "prosa" {
  name     = "prosa"
  location = var.region
  rate_limits {
    max_dispatches_per_second = 500
    max_concurrent_dispatches = 900
  }
  retry_config {
    max_attempts       = -1
    max_retry_duration = "0s"
    min_backoff        = "1s"
    max_backoff        = "60s"
    max_doublings      = 6
  }
  stackdriver_logging_config {
    sampling_ratio = 0.01
  }
  depends_on = [google_project_service.api]
}

resource "google_cloud_tasks_queue_iam_member" "webhook_enqueues" {
  name     = google_cloud_tasks_queue.prosa.name
  location = var.region
  role     = "roles/cloudtasks.enqueuer"
  member   = google_service_account.account["webhook"].member
}

# It repeats by itself each minute, so a failed one is not repeated.
resource "google_cloud_scheduler_job" "sweep" {
  name             = "prosa-sweep"
  region           = var.region
  schedule         = "* * * * *"
  attempt_deadline = "30s"
  retry_config {
    retry_count = 0
  }
  http_target {
    http_method = "POST"
    uri         = "${local.tasks_url}/tasks/sweep"
    oidc_token {
      service_account_email = google_service_account.account["caller"].email
      audience              = "${local.tasks_url}/tasks/process"
    }
  }
  depends_on = [google_project_service.api]
}
