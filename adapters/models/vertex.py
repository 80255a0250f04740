"""Claude on Google Cloud's Vertex AI, asked as the service account of the process."""

import anthropic
from google.auth.exceptions import GoogleAuthError

from adapters.models.anthropic import MessagesModel, sdk_options
from contracts.ports import StructuredOutput


class VertexModel(MessagesModel):
    """Model on Vertex AI. Credentials are Google's application default ones, found with the first call.

    Source: https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai
    """

    def __init__(
        self,
        *,
        project: str,
        region: str,
        base_url: str | None = None,
        output: StructuredOutput = StructuredOutput.OUTPUT_CONFIG,
    ) -> None:
        client = anthropic.AsyncAnthropicVertex(project_id=project, region=region, base_url=base_url, **sdk_options())
        super().__init__(client, output=output, failures=(GoogleAuthError,))
