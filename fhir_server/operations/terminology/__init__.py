"""What codes mean: the operations of CodeSystem, ValueSet and ConceptMap."""
