"""Claude on Amazon Bedrock, asked with a Bedrock key or the AWS credentials of the process."""

import anthropic
from botocore.eventstream import ParserError  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

from adapters.models.anthropic import MessagesModel, sdk_options
from contracts.ports import StructuredOutput


class BedrockModel(MessagesModel):
    """Model on Bedrock. Without `api_key` requests are signed with the credentials of boto3's session.

    Source: https://platform.claude.com/docs/en/build-with-claude/claude-on-amazon-bedrock
    """

    def __init__(
        self,
        *,
        region: str,
        api_key: str | None = None,
        base_url: str | None = None,
        output: StructuredOutput = StructuredOutput.OUTPUT_CONFIG,
    ) -> None:
        client = anthropic.AsyncAnthropicBedrock(aws_region=region, api_key=api_key, base_url=base_url, **sdk_options())
        # The SDK raises RuntimeError without credentials.
        super().__init__(client, output=output, failures=(BotoCoreError, ParserError, RuntimeError))
