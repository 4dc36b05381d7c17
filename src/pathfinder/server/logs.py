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
