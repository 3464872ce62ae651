"""The portal: pages for recipients, for those who vaccinate, and for anyone who is shown a card."""
