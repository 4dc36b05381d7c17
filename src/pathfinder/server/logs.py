"""Structured logs: one event, one line; JSON where a program reads it, colours for a person."""

import logging
import sys

import structlog


def configure(*, is_verbose: bool) -> None:
    """Log to standard error from now on. `is_verbose`: requests too."""
    is_terminal = sys.stderr.isatty()
    last: structlog.types.Processor = structlog.processors.JSONRenderer()
    if is_terminal:
        last = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    before: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not is_terminal:
        # Without the local variables, which may hold secrets.
        tracer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        before.append(structlog.processors.ExceptionRenderer(tracer))
    structlog.configure(
        processors=[*before, last],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if is_verbose else logging.INFO
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # What libraries say by other means comes out in the same form, warnings and worse.
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)


class _Forward(logging.Handler):
    """The standard library's log records as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
