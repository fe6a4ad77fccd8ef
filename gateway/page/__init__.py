"""The practice's page: what a secretary and a doctor use all day. French, with an English switch."""
