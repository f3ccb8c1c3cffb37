"""Evidence comes in: one module a kind, told apart by content, each giving rows of the tables that it declares."""
