"""The settings of one process, and the only place that reads the environment."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from .broker_url import check_broker_url
from .env_file import process_environment
from .errors import ConfigurationError, texts_of
from .listen_address import ListenAddress
from .paths import EMBEDDED_URL_FILE, expanded, state_directory
from .problems import problems_of
from .quantities import Retention, Size
from .redis_url import REDIS_SCHEMES, RedisTarget, split_url
from .redis_url_files import check_redis_url

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]

AMQP_SCHEMES: Final = ("amqp", "amqps", "pyamqp", "pyamqps")
"""The schemes of RabbitMQ."""

NO_DATA_DIR: Final = (
    "CANCELLER_DATA_DIR: is needed here, where no home directory is known: set it to a directory for the embedded "
    "Redis, or XDG_STATE_HOME to one for all programs' state; or set REDIS_URL to a running Redis"
)

_DAY: Final = 86400.0
PRODUCER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""The names that producers may have."""
_WORD: Final = re.compile(r"[^\s{}]{1,64}")


def scheme_of(url: str) -> str:
    """Name the kind of broker that a URL leads to."""
    return url.partition("://")[0].lower()


def _checked_url(value: SecretStr, info: ValidationInfo) -> SecretStr:
    check = check_redis_url if info.field_name == "redis_url" else check_broker_url
    check(value.get_secret_value())
    return value


def _word(value: str) -> str:
    if not _WORD.fullmatch(value):
        raise ValueError("must be 1 to 64 characters without whitespace and without { or }")
    return value


def producer_name(value: str) -> str:
    """Check the name of a producer."""
    if not PRODUCER.fullmatch(value):
        raise ValueError(f"must match {PRODUCER.pattern}")
    return value


Word = Annotated[str, AfterValidator(_word)]
Producer = Annotated[str, AfterValidator(producer_name)]
UserPath = Annotated[Path, AfterValidator(expanded)]


class Settings(BaseSettings):
    """What the environment says. Every variable is in `.env.example`; an empty one is unset.

    Times are seconds. URLs may hold passwords: no repr and no error shows them.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=True, hide_input_in_errors=True)

    redis_url: Annotated[SecretStr, AfterValidator(_checked_url)] | None = Field(
        default=None, validation_alias="REDIS_URL"
    )
    celery_broker_url: Annotated[SecretStr, AfterValidator(_checked_url)] | None = Field(
        default=None, validation_alias="CELERY_BROKER_URL"
    )
    backends: UserPath | None = Field(default=None, validation_alias="CANCELLER_BACKENDS")
    unknown_keys: Annotated[Literal["error", "warn"], BeforeValidator(str.lower)] = Field(
        default="error", validation_alias="CANCELLER_UNKNOWN_KEYS"
    )
    prefix: Word = Field(default="canceller", validation_alias="CANCELLER_PREFIX")
    queue: Word = Field(default="commands", validation_alias="CANCELLER_QUEUE")
    remote_control: bool = Field(default=False, validation_alias="CANCELLER_REMOTE_CONTROL")
    keep_events: Retention = Field(default=7 * _DAY, validation_alias="CANCELLER_KEEP_EVENTS")
    keep_records: Retention = Field(default=7 * _DAY, validation_alias="CANCELLER_KEEP_RECORDS")
    keep_dead_letters: Retention = Field(default=30 * _DAY, validation_alias="CANCELLER_KEEP_DEAD_LETTERS")
    dead_letters_size: Annotated[Size, Field(ge=1_000_000)] = Field(
        default=64_000_000, validation_alias="CANCELLER_DEAD_LETTERS_SIZE"
    )
    data_dir_if_any: UserPath | None = Field(
        default_factory=lambda: state_directory({}), validation_alias="CANCELLER_DATA_DIR"
    )
    log_format: Annotated[LogFormat, BeforeValidator(str.lower)] = Field(
        default="auto", validation_alias="CANCELLER_LOG_FORMAT"
    )
    log_level: Annotated[LogLevel, BeforeValidator(str.lower)] = Field(
        default="info", validation_alias="CANCELLER_LOG_LEVEL"
    )
    log_queue: int = Field(default=10_000, ge=1, le=1_000_000, validation_alias="CANCELLER_LOG_QUEUE")
    producer: Producer | None = Field(default=None, validation_alias="CANCELLER_PRODUCER")
    key: SecretStr | None = Field(default=None, validation_alias="CANCELLER_KEY")
    key_file: UserPath | None = Field(default=None, validation_alias="CANCELLER_KEY_FILE")
    board_token: SecretStr | None = Field(default=None, validation_alias="CANCELLER_BOARD_TOKEN")
    board_token_file: UserPath | None = Field(default=None, validation_alias="CANCELLER_BOARD_TOKEN_FILE")
    board_hosts: str = Field(default="", validation_alias="CANCELLER_BOARD_HOSTS")
    clock_speed: float = Field(default=1.0, gt=0, le=100_000, validation_alias="CANCELLER_CLOCK_SPEED")
    slots: int = Field(default=200, ge=1, le=100_000, validation_alias="CANCELLER_SLOTS")
    http: Annotated[Annotated[ListenAddress, BeforeValidator(ListenAddress.parse)] | None, NoDecode] = Field(
        default=None, validation_alias="CANCELLER_HTTP"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` gives and nothing else: pydantic would read the process's environment again."""
        return (init_settings,)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read and validate all variables.

        Args:
            environ: Instead of this process's environment.

        Raises:
            ConfigurationError: Lists every variable that is wrong.

        """
        variables = process_environment() if environ is None else environ
        source = EnvSettingsSource(cls)
        source.env_vars = {name: value for name, value in variables.items() if value}
        values = {"CANCELLER_DATA_DIR": state_directory(variables), **source()}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = problems_of(error, lambda location: str(location[0]))
        # Raised outside `except`, so that pydantic's error, which holds the inputs, is not chained.
        raise ConfigurationError(problems)

    @property
    def data_dir(self) -> Path:
        """Where the embedded Redis keeps its data.

        Raises:
            ConfigurationError: Nothing says where, and no home directory is known.

        """
        if self.data_dir_if_any is None:
            raise ConfigurationError([NO_DATA_DIR])
        return self.data_dir_if_any

    @property
    def redis(self) -> RedisTarget | None:
        """Where Redis is; None when `REDIS_URL` is not set."""
        return None if self.redis_url is None else RedisTarget.parse(self.redis_url.get_secret_value())

    @property
    def broker_url(self) -> SecretStr | None:
        """The broker: `CELERY_BROKER_URL`, else `REDIS_URL`, else None."""
        return self.celery_broker_url or self.redis_url

    @property
    def redis_broker(self) -> RedisTarget | None:
        """The broker if it is a Redis; None if it is another kind."""
        if self.celery_broker_url is None:
            return self.redis
        url = self.celery_broker_url.get_secret_value()
        return RedisTarget.parse(url) if split_url(url).scheme in REDIS_SCHEMES else None

    @property
    def amqp_broker(self) -> bool:
        """Whether the broker is RabbitMQ."""
        if self.celery_broker_url is None:
            return False
        return scheme_of(self.celery_broker_url.get_secret_value()) in AMQP_SCHEMES

    def discovered(self) -> Self:
        """Return the same settings, with the embedded Redis if `REDIS_URL` is not set and one has left its address.

        Raises:
            ConfigurationError: What it left is not a Redis URL.

        """
        if self.redis_url is not None or self.data_dir_if_any is None:
            return self
        try:
            address = (self.data_dir_if_any / EMBEDDED_URL_FILE).read_text(encoding="utf-8").strip()
        except OSError:
            return self
        except UnicodeDecodeError:
            address = ""
        return self.with_redis_url(address)

    def with_redis_url(self, url: str) -> Self:
        """Return the same settings with another Redis, e.g. a running embedded one.

        Raises:
            ConfigurationError: It is not a Redis URL.

        """
        try:
            check_redis_url(url)
        except ValueError as error:
            problems = [f"REDIS_URL: {text}" for text in texts_of(error)]
        else:
            return self.model_copy(update={"redis_url": SecretStr(url)})
        raise ConfigurationError(problems)
