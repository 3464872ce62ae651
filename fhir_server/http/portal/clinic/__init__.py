"""Pages for those who vaccinate, at the chair."""
