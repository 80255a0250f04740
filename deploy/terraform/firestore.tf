# The database, and from deploy/firestore/firestore.indexes.json, which a test compares with what the adapters ask: composite
# indexes, fields without an index, and times to live.
locals {
  firestore = jsondecode(file("${path.module}/../firestore/firestore.indexes.json"))
}

resource "google_firestore_database" "prosa" {
  name                              = "(default)"
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = "DELETE_PROTECTION_ENABLED"
  depends_on                        = [google_project_service.api]
}

resource "google_firestore_backup_schedule" "daily" {
  database  = google_firestore_database.prosa.name
  retention = "8467200s" # 14 weeks
  daily_recurrence {}
}

resource "google_firestore_index" "composite" {
  for_each    = { for index in local.firestore.indexes : join("/", concat([index.collectionGroup], [for field in index.fields : field.fieldPath])) => index }
  database    = google_firestore_database.prosa.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope
  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value.fieldPath
      order        = try(fields.value.order, null)
      array_config = try(fields.value.arrayConfig, null)
    }
  }
}

resource "google_firestore_field" "override" {
  for_each   = { for field in local.firestore.fieldOverrides : "${field.collectionGroup}/${field.fieldPath}" => field }
  database   = google_firestore_database.prosa.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath
  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes
      content {
        order        = try(indexes.value.order, null)
        array_config = try(indexes.value.arrayConfig, null)
        query_scope  = indexes.value.queryScope
      }
    }
  }
  dynamic "ttl_config" {
    for_each = try(each.value.ttl, false) ? [true] : []
    content {}
  }
}
