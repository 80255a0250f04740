"""What reports say, in the institution's language."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.ledger import Amounts
from prompts.pricing.prices import usd_text

PT: Mapping[str, str] = {
    "status": "Agora",
    "daily": "Relatório do dia",
    "weekly": "Relatório da semana",
    "cost": "Custo",
    "performance": "Desempenho",
    "unanswered": "Sem resposta há mais de 1 minuto",
    "waiting": "{0} esperam ao todo; a mais antiga há {1}",
    "none_waits": "nenhuma mensagem espera",
    "unsent": "{0} respostas ainda não enviadas",
    "reply_p95": "Da mensagem à resposta, p95",
    "behind_replies": "{0} respostas; p50 {1}, p99 {2}",
    "failure_rate": "Falhas",
    "money_today": "Gasto hoje (USD)",
    "money": "Gasto (USD)",
    "of_ceiling": "{0} do limite de {1}",
    "no_ceiling": "sem limite para o dia",
    "unknown_calls": "{0} chamadas de preço desconhecido",
    "answered": "Quem respondeu",
    "turns": "Turnos",
    "before": "antes: {0}",
    "per_turn": "USD por turno",
    "quality": "Qualidade",
    "escalated": "Passadas para uma pessoa",
    "since": "Latência, falhas e respostas desde {0}; dinheiro desde o começo do dia. {1}",
    "days": "De {0} a {1} ({2})",
    "day": "Dia",
    "money_by_day": "Gasto por dia (USD)",
    "latency_by_day": "Da mensagem à resposta, por dia",
    "answers_by_day": "Quem respondeu, por dia",
    "failures_by_day": "Falhas por dia, por causa",
    "failure_rate_by_day": "Falhas por dia",
    "quality_by_day": "Qualidade por dia, por tarefa",
    "by_model": "Por modelo",
    "model_name": "modelo",
    "calls": "chamadas",
    "tokens_in": "entrada",
    "tokens_out": "saída",
    "cache_read": "lidos do cache",
    "share": "parte",
    "times": "Tempos",
    "what": "o quê",
    "number": "quantos",
    "reply": "mensagem à resposta",
    "turn": "turno",
    "engine": "motor, sem o modelo",
    "tasks": "Tarefas",
    "task": "tarefa",
    "state": "estado",
    "response": "resposta",
    "message_type": "tipo de mensagem",
    "judge": "juiz",
    "outcomes": "resultados",
    "retries": "repetições",
    "causes": "Falhas por causa",
    "cause": "causa",
    "fallbacks": "Textos substitutos por motivo",
    "reason": "motivo",
    "states": "Onde os turnos terminaram",
    "where": "estado",
    "nothing": "Nada no período.",
    "model": "modelo",
    "cache": "cache",
    "template": "texto fixo",
    "fallback": "substituto",
    "nobody": "ninguém",
    "model_unavailable": "modelo indisponível",
    "model_output_unusable": "resposta do modelo inutilizável",
    "budget": "limite de gasto",
    "gate": "retida pelas regras",
    "dead_letter": "mensagem abandonada",
    "refused": "recusada pela plataforma",
    "anomaly_worse": "{0}: {1} saiu da faixa habitual ({2} a {3}): {4}",
    "anomaly_better": "{0}: {1} saiu da faixa habitual ({2} a {3}), para melhor: {4}",
    "in_band": "Custo e qualidade dentro da faixa habitual.",
    "cost_usd": "gasto (USD)",
    "cost_per_turn_usd": "USD por turno",
    "reply_p95_ms": "p95 da mensagem à resposta",
    "footer": "Percentis com erro de até 2 %. Somas de dinheiro são exatas; os últimos segundos ainda faltam.",
}

EN: Mapping[str, str] = {
    "status": "Now",
    "daily": "Daily report",
    "weekly": "Weekly report",
    "cost": "Cost",
    "performance": "Performance",
    "unanswered": "Unanswered for more than 1 minute",
    "waiting": "{0} wait in all; the oldest for {1}",
    "none_waits": "no message waits",
    "unsent": "{0} replies not sent yet",
    "reply_p95": "Message to reply, p95",
    "behind_replies": "{0} replies; p50 {1}, p99 {2}",
    "failure_rate": "Failures",
    "money_today": "Spent today (USD)",
    "money": "Spent (USD)",
    "of_ceiling": "{0} of the ceiling of {1}",
    "no_ceiling": "no ceiling for the day",
    "unknown_calls": "{0} calls of unknown price",
    "answered": "Who answered",
    "turns": "Turns",
    "before": "before: {0}",
    "per_turn": "USD for a turn",
    "quality": "Quality",
    "escalated": "Passed to a person",
    "since": "Latency, failures and answers since {0}; money since the day began. {1}",
    "days": "From {0} to {1} ({2})",
    "day": "Day",
    "money_by_day": "Spent by day (USD)",
    "latency_by_day": "Message to reply, by day",
    "answers_by_day": "Who answered, by day",
    "failures_by_day": "Failures by day and cause",
    "failure_rate_by_day": "Failures by day",
    "quality_by_day": "Quality by day and task",
    "by_model": "By model",
    "model_name": "model",
    "calls": "calls",
    "tokens_in": "input",
    "tokens_out": "output",
    "cache_read": "cache reads",
    "share": "share",
    "times": "Times",
    "what": "what",
    "number": "number",
    "reply": "message to reply",
    "turn": "turn",
    "engine": "engine, without the model",
    "tasks": "Tasks",
    "task": "task",
    "state": "state",
    "response": "response",
    "message_type": "message type",
    "judge": "judge",
    "outcomes": "outcomes",
    "retries": "retries",
    "causes": "Failures by cause",
    "cause": "cause",
    "fallbacks": "Fallback texts by reason",
    "reason": "reason",
    "states": "Where turns ended",
    "where": "state",
    "nothing": "Nothing in this time.",
    "model": "model",
    "cache": "cache",
    "template": "fixed text",
    "fallback": "fallback",
    "nobody": "nobody",
    "model_unavailable": "model unavailable",
    "model_output_unusable": "model's answer unusable",
    "budget": "ceiling",
    "gate": "withheld by the gate",
    "dead_letter": "message given up",
    "refused": "refused by the platform",
    "anomaly_worse": "{0}: {1} left its usual band ({2} to {3}): {4}",
    "anomaly_better": "{0}: {1} left its usual band ({2} to {3}), for the better: {4}",
    "in_band": "Cost and quality within their usual bands.",
    "cost_usd": "spent (USD)",
    "cost_per_turn_usd": "USD for a turn",
    "reply_p95_ms": "p95 of message to reply",
    "footer": "Percentiles within 2 %. Sums of money are exact; the last seconds are not in them yet.",
}


@dataclass(frozen=True)
class Wording:
    """The words and the numbers of one language."""

    language: str

    @property
    def _is_portuguese(self) -> bool:
        return self.language.lower().startswith("pt")

    def say(self, name: str, *given: object) -> str:
        """The phrase of that name; a name that is none of ours, such as a model's, is said as it is."""
        words = PT if self._is_portuguese else EN
        return words.get(name, name).format(*given)

    def number(self, value: float | None, digits: int = 0) -> str:
        if value is None:
            return "–"
        text = f"{value:,.{digits}f}"
        return text.translate(str.maketrans(",.", ".,")) if self._is_portuguese else text

    def percent(self, share: float | None) -> str:
        return "–" if share is None else f"{self.number(share * 100, 1)}\u00a0%"

    def usd(self, value: float | None) -> str:
        """Cents where it is much, and as many digits as it takes to see anything where it is little."""
        if value is None:
            return "–"
        digits = 2 if value >= 1 or value == 0 else 4 if value >= 0.01 else 6
        return self.number(value, digits)

    def amounts(self, amounts: Amounts) -> str:
        """Money; what has no known price is said to be unknown, never nothing."""
        if not amounts.is_known:
            return "?"
        return self.usd(float(usd_text(amounts.usd)))

    def time(self, milliseconds: float | None) -> str:
        if milliseconds is None:
            return "–"
        if milliseconds == 0:
            return "0"
        if milliseconds < 1_000:
            return f"{self.number(milliseconds, 0 if milliseconds >= 10 else 1)} ms"
        if milliseconds < 120_000:
            return f"{self.number(milliseconds / 1_000, 2)} s"
        return f"{self.number(milliseconds / 60_000, 1)} min"
