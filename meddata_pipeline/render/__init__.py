"""Pages and figures: what turns results into something a person reads. No knowledge of the domain."""
