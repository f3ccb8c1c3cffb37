"""Tables in, tables out: what follows from the records, without an opinion."""
