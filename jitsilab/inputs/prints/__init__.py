"""Packets that somebody printed: tshark's text in every form, Wireshark's exports, tcpdump's text; a study's tables.

The text says what a frame is, an export of fields which ports it used; two prints of one capture are joined by frame
number. Nothing here reads a packet: what was not printed is empty in the tables, and a table of which nothing was
printed is not there at all.
"""

from jitsilab.inputs.prints.reading import load, recognise, refusal, schema
from jitsilab.inputs.prints.saved import load_tables, save_tables

__all__ = ["load", "load_tables", "recognise", "refusal", "save_tables", "schema"]
