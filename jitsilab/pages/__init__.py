"""For people: sentences, tables, figures, notebooks and reports. Text out of evidence is escaped here."""
