"""Between gateway and receiver: message, SMTP, mailbox, retries, legal calendar."""
