"""What every part of the package speaks: results, scenes, statuses and errors. numpy alone."""
