"""What only the report of the 2020 study says: its claim, its comparison with recordings, its redaction, its notes."""
