"""What is written down of every call: a database that can be asked, and lines of JSON."""
