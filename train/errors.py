"""What can go wrong in training: each message says what to do. Knows nothing of torch."""


class TrainError(Exception):
    """Base of the errors that the command line turns into a message."""


class DatasetError(TrainError):
    """The data cannot be read as a labelled set."""


class FitError(TrainError):
    """Training cannot start or go on."""


class ExportError(TrainError):
    """A model file cannot be written, or does not score as the trained network does."""


class AuditError(TrainError):
    """A model or its pictures cannot be audited."""
