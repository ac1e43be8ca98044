"""One module for each verb: ``run(arguments) -> exit code``; imported when the verb is asked for."""
