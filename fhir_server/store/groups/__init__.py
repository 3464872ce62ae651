"""Groups with more members than a document holds."""
