"""Where data sets lie, one module for each kind of container; `table` names them."""
