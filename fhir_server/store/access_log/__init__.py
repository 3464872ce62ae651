"""The access log: AuditEvents in groups, found one by one, sealed by the day."""
