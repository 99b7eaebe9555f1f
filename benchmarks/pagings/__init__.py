"""What paging costs and how soon it comes, measured in parts."""
