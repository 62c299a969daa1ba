"""What a spec says, not what it means: the document, its entries, its expressions."""
