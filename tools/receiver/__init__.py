"""The mock national side: takes lots by SMTP, answers with ARL, decides on invoices, returns payments."""
