"""Anthropic's prices, of genai-prices 0.2.3: written by `prompts/price_snapshot.py`, not by hand."""

import datetime
from decimal import Decimal

from genai_prices.types import (
    ClauseContains,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
)

RELEASE = "0.2.3"
TAKEN = datetime.date(2026, 11, 21)
PROVIDER = Provider(
    id="anthropic",
    name="Anthropic",
    api_pattern="https://api\\.anthropic\\.com",
    pricing_urls=["https://www.anthropic.com/pricing#api"],
    description=None,
    price_comments=None,
    model_match=ClauseContains(contains="claude"),
    provider_match=ClauseContains(contains="anthropic"),
    extractors=None,
    fallback_model_providers=None,
    models=[
        ModelInfo(
            id="claude-2",
            match=ClauseOr(or_=[ClauseStartsWith(starts_with="claude-2"), ClauseContains(contains="claude-v2")]),
            name="Claude 2.0 / 2.1",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(input_mtok=Decimal("8"), output_mtok=Decimal("24")),
            price_variants=None,
        ),
        ModelInfo(
            id="claude-3-5-haiku-latest",
            match=ClauseOr(
                or_=[ClauseStartsWith(starts_with="claude-3-5-haiku"), ClauseStartsWith(starts_with="claude-3.5-haiku")]
            ),
            name="Claude Haiku 3.5",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("0.8"),
                cache_write_mtok=Decimal("1"),
                cache_read_mtok=Decimal("0.08"),
                output_mtok=Decimal("4"),
                cache_write_1h_mtok=Decimal("1.6"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=None,
        ),
        ModelInfo(
            id="claude-3-5-sonnet",
            match=ClauseOr(
                or_=[
                    ClauseStartsWith(starts_with="claude-3-5-sonnet"),
                    ClauseStartsWith(starts_with="claude-3.5-sonnet"),
                ]
            ),
            name="Claude Sonnet 3.5",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("3"),
                cache_write_mtok=Decimal("3.75"),
                cache_read_mtok=Decimal("0.3"),
                output_mtok=Decimal("15"),
                cache_write_1h_mtok=Decimal("6"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=None,
        ),
        ModelInfo(
            id="claude-3-7-sonnet-latest",
            match=ClauseOr(
                or_=[
                    ClauseStartsWith(starts_with="claude-3-7-sonnet"),
                    ClauseStartsWith(starts_with="claude-3.7-sonnet"),
                    ClauseStartsWith(starts_with="claude-sonnet-3.7"),
                    ClauseStartsWith(starts_with="claude-sonnet-3-7"),
                ]
            ),
            name="Claude Sonnet 3.7",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("3"),
                cache_write_mtok=Decimal("3.75"),
                cache_read_mtok=Decimal("0.3"),
                output_mtok=Decimal("15"),
                cache_write_1h_mtok=Decimal("6"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=None,
        ),
        ModelInfo(
            id="claude-3-haiku",
            match=ClauseStartsWith(starts_with="claude-3-haiku"),
            name="Claude Haiku 3",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("0.25"),
                cache_write_mtok=Decimal("0.3"),
                cache_read_mtok=Decimal("0.03"),
                output_mtok=Decimal("1.25"),
                cache_write_1h_mtok=Decimal("0.5"),
            ),
            price_variants=None,
        ),
        ModelInfo(
            id="claude-3-opus-latest",
            match=ClauseStartsWith(starts_with="claude-3-opus"),
            name="Claude Opus 3",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("15"),
                cache_write_mtok=Decimal("18.75"),
                cache_read_mtok=Decimal("1.5"),
                output_mtok=Decimal("75"),
                cache_write_1h_mtok=Decimal("30"),
            ),
            price_variants=None,
        ),
        ModelInfo(
            id="claude-3-sonnet",
            match=ClauseStartsWith(starts_with="claude-3-sonnet"),
            name="Claude 3 Sonnet",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("3"),
                cache_write_mtok=Decimal("3.75"),
                cache_read_mtok=Decimal("0.3"),
                output_mtok=Decimal("15"),
                cache_write_1h_mtok=Decimal("6"),
            ),
            price_variants=None,
        ),
        ModelInfo(
            id="claude-fable-5",
            match=ClauseOr(or_=[ClauseEquals(equals="claude-fable-5"), ClauseRegex(regex="^claude-fable-5-\\d{8}$")]),
            name="Claude Fable 5",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("10"),
                cache_write_mtok=Decimal("12.5"),
                cache_read_mtok=Decimal("1"),
                output_mtok=Decimal("50"),
                cache_write_1h_mtok=Decimal("20"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("5"),
                        cache_write_mtok=Decimal("6.25"),
                        cache_read_mtok=Decimal("0.5"),
                        output_mtok=Decimal("25"),
                        cache_write_1h_mtok=Decimal("10"),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                )
            ],
        ),
        ModelInfo(
            id="claude-fable-5-1",
            match=ClauseOr(
                or_=[ClauseEquals(equals="claude-fable-5-1"), ClauseRegex(regex="^claude-fable-5-1-\\d{8}$")]
            ),
            name="Claude Fable 5.1",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("10"),
                cache_write_mtok=Decimal("12.5"),
                cache_read_mtok=Decimal("0.25"),
                output_mtok=Decimal("50"),
                cache_write_1h_mtok=Decimal("20"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("5"),
                        cache_write_mtok=Decimal("6.25"),
                        cache_read_mtok=Decimal("0.125"),
                        output_mtok=Decimal("25"),
                        cache_write_1h_mtok=Decimal("10"),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                )
            ],
        ),
        ModelInfo(
            id="claude-fable-5-2",
            match=ClauseOr(
                or_=[ClauseEquals(equals="claude-fable-5-2"), ClauseRegex(regex="^claude-fable-5-2-\\d{8}$")]
            ),
            name="Claude Fable 5.2",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("8"),
                cache_write_mtok=Decimal("10"),
                cache_read_mtok=Decimal("0.2"),
                output_mtok=Decimal("40"),
                cache_write_1h_mtok=Decimal("16"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("4"),
                        cache_write_mtok=Decimal("5"),
                        cache_read_mtok=Decimal("0.1"),
                        output_mtok=Decimal("20"),
                        cache_write_1h_mtok=Decimal("8"),
                    ),
                    constraint=None,
                ),
                PriceVariant(
                    when={"speed": "fast"},
                    prices=ModelPrice(
                        input_mtok=Decimal("16"),
                        cache_write_mtok=Decimal("20"),
                        cache_read_mtok=Decimal("0.4"),
                        output_mtok=Decimal("80"),
                        cache_write_1h_mtok=Decimal("32"),
                    ),
                    constraint=None,
                ),
            ],
        ),
        ModelInfo(
            id="claude-haiku-4-5",
            match=ClauseOr(
                or_=[
                    ClauseStartsWith(starts_with="claude-haiku-4-5"),
                    ClauseStartsWith(starts_with="claude-haiku-4.5"),
                    ClauseStartsWith(starts_with="claude-4-5-haiku"),
                    ClauseStartsWith(starts_with="claude-4.5-haiku"),
                ]
            ),
            name="Claude Haiku 4.5",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("1"),
                cache_write_mtok=Decimal("1.25"),
                cache_read_mtok=Decimal("0.1"),
                output_mtok=Decimal("5"),
                cache_write_1h_mtok=Decimal("2"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("0.5"),
                        cache_write_mtok=Decimal("0.625"),
                        cache_read_mtok=Decimal("0.05"),
                        output_mtok=Decimal("2.5"),
                        cache_write_1h_mtok=Decimal("1"),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                )
            ],
        ),
        ModelInfo(
            id="claude-haiku-5-5",
            match=ClauseOr(
                or_=[
                    ClauseEquals(equals="claude-haiku-5-5"),
                    ClauseRegex(regex="^claude-haiku-5-5-\\d{8}$"),
                    ClauseStartsWith(starts_with="claude-haiku-5-5@"),
                    ClauseStartsWith(starts_with="claude-haiku-5.5"),
                    ClauseStartsWith(starts_with="claude-5-5-haiku"),
                    ClauseStartsWith(starts_with="claude-5.5-haiku"),
                ]
            ),
            name="Claude Haiku 5.5",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=TieredPrices(base=Decimal("0.1"), tiers=[Tier(start=100000, price=Decimal("0.5"))]),
                cache_write_mtok=TieredPrices(
                    base=Decimal("0.125"), tiers=[Tier(start=100000, price=Decimal("0.625"))]
                ),
                cache_read_mtok=TieredPrices(base=Decimal("0.01"), tiers=[Tier(start=100000, price=Decimal("0.05"))]),
                output_mtok=TieredPrices(base=Decimal("0.5"), tiers=[Tier(start=100000, price=Decimal("2.5"))]),
                cache_write_1h_mtok=TieredPrices(base=Decimal("0.2"), tiers=[Tier(start=100000, price=Decimal("1"))]),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=TieredPrices(
                            base=Decimal("0.05"), tiers=[Tier(start=100000, price=Decimal("0.25"))]
                        ),
                        cache_write_mtok=TieredPrices(
                            base=Decimal("0.0625"), tiers=[Tier(start=100000, price=Decimal("0.3125"))]
                        ),
                        cache_read_mtok=TieredPrices(
                            base=Decimal("0.005"), tiers=[Tier(start=100000, price=Decimal("0.025"))]
                        ),
                        output_mtok=TieredPrices(
                            base=Decimal("0.25"), tiers=[Tier(start=100000, price=Decimal("1.25"))]
                        ),
                        cache_write_1h_mtok=TieredPrices(
                            base=Decimal("0.1"), tiers=[Tier(start=100000, price=Decimal("0.5"))]
                        ),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                )
            ],
        ),
        ModelInfo(
            id="claude-mythos-5-2",
            match=ClauseOr(
                or_=[ClauseEquals(equals="claude-mythos-5-2"), ClauseRegex(regex="^claude-mythos-5-2-\\d{8}$")]
            ),
            name="Claude Mythos 5.2",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("8"),
                cache_write_mtok=Decimal("10"),
                cache_read_mtok=Decimal("0.2"),
                output_mtok=Decimal("40"),
                cache_write_1h_mtok=Decimal("16"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("4"),
                        cache_write_mtok=Decimal("5"),
                        cache_read_mtok=Decimal("0.1"),
                        output_mtok=Decimal("20"),
                        cache_write_1h_mtok=Decimal("8"),
                    ),
                    constraint=None,
                ),
                PriceVariant(
                    when={"speed": "fast"},
                    prices=ModelPrice(
                        input_mtok=Decimal("16"),
                        cache_write_mtok=Decimal("20"),
                        cache_read_mtok=Decimal("0.4"),
                        output_mtok=Decimal("80"),
                        cache_write_1h_mtok=Decimal("32"),
                    ),
                    constraint=None,
                ),
            ],
        ),
        ModelInfo(
            id="claude-opus-4-0",
            match=ClauseOr(
                or_=[
                    ClauseStartsWith(starts_with="claude-opus-4-0"),
                    ClauseStartsWith(starts_with="claude-4-opus"),
                    ClauseEquals(equals="claude-opus-4"),
                    ClauseEquals(equals="claude-opus-4-20250514"),
                ]
            ),
            name="Claude Opus 4",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("15"),
                cache_write_mtok=Decimal("18.75"),
                cache_read_mtok=Decimal("1.5"),
                output_mtok=Decimal("75"),
                cache_write_1h_mtok=Decimal("30"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=None,
        ),
        ModelInfo(
            id="claude-opus-4-1",
            match=ClauseOr(
                or_=[ClauseStartsWith(starts_with="claude-opus-4-1"), ClauseStartsWith(starts_with="claude-opus-4.1")]
            ),
            name="Claude Opus 4.1",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("15"),
                cache_write_mtok=Decimal("18.75"),
                cache_read_mtok=Decimal("1.5"),
                output_mtok=Decimal("75"),
                cache_write_1h_mtok=Decimal("30"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=None,
        ),
        ModelInfo(
            id="claude-opus-4-5",
            match=ClauseOr(
                or_=[
                    ClauseStartsWith(starts_with="claude-opus-4-5"),
                    ClauseStartsWith(starts_with="claude-opus-4.5"),
                    ClauseStartsWith(starts_with="claude-4-5-opus"),
                    ClauseStartsWith(starts_with="claude-4.5-opus"),
                ]
            ),
            name="Claude Opus 4.5",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("5"),
                cache_write_mtok=Decimal("6.25"),
                cache_read_mtok=Decimal("0.5"),
                output_mtok=Decimal("25"),
                cache_write_1h_mtok=Decimal("10"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("2.5"),
                        cache_write_mtok=Decimal("3.125"),
                        cache_read_mtok=Decimal("0.25"),
                        output_mtok=Decimal("12.5"),
                        cache_write_1h_mtok=Decimal("5"),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                )
            ],
        ),
        ModelInfo(
            id="claude-opus-4-6",
            match=ClauseOr(
                or_=[
                    ClauseStartsWith(starts_with="claude-opus-4-6"),
                    ClauseStartsWith(starts_with="claude-opus-4.6"),
                    ClauseStartsWith(starts_with="claude-4-6-opus"),
                    ClauseStartsWith(starts_with="claude-4.6-opus"),
                ]
            ),
            name="Claude Opus 4.6",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=[
                ConditionalPrice(
                    constraint=None,
                    prices=ModelPrice(
                        input_mtok=TieredPrices(base=Decimal("5"), tiers=[Tier(start=200000, price=Decimal("10"))]),
                        cache_write_mtok=TieredPrices(
                            base=Decimal("6.25"), tiers=[Tier(start=200000, price=Decimal("12.5"))]
                        ),
                        cache_read_mtok=TieredPrices(
                            base=Decimal("0.5"), tiers=[Tier(start=200000, price=Decimal("1"))]
                        ),
                        output_mtok=TieredPrices(base=Decimal("25"), tiers=[Tier(start=200000, price=Decimal("37.5"))]),
                        cache_write_1h_mtok=TieredPrices(
                            base=Decimal("10"), tiers=[Tier(start=200000, price=Decimal("20"))]
                        ),
                        web_searches_kcount=Decimal("10"),
                    ),
                ),
                ConditionalPrice(
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 3, 13)),
                    prices=ModelPrice(
                        input_mtok=Decimal("5"),
                        cache_write_mtok=Decimal("6.25"),
                        cache_read_mtok=Decimal("0.5"),
                        output_mtok=Decimal("25"),
                        cache_write_1h_mtok=Decimal("10"),
                        web_searches_kcount=Decimal("10"),
                    ),
                ),
            ],
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("2.5"),
                        cache_write_mtok=Decimal("3.125"),
                        cache_read_mtok=Decimal("0.25"),
                        output_mtok=Decimal("12.5"),
                        cache_write_1h_mtok=Decimal("5"),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                )
            ],
        ),
        ModelInfo(
            id="claude-opus-4-7",
            match=ClauseOr(
                or_=[
                    ClauseStartsWith(starts_with="claude-opus-4-7"),
                    ClauseStartsWith(starts_with="claude-opus-4.7"),
                    ClauseStartsWith(starts_with="claude-4-7-opus"),
                    ClauseStartsWith(starts_with="claude-4.7-opus"),
                ]
            ),
            name="Claude Opus 4.7",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("5"),
                cache_write_mtok=Decimal("6.25"),
                cache_read_mtok=Decimal("0.5"),
                output_mtok=Decimal("25"),
                cache_write_1h_mtok=Decimal("10"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("2.5"),
                        cache_write_mtok=Decimal("3.125"),
                        cache_read_mtok=Decimal("0.25"),
                        output_mtok=Decimal("12.5"),
                        cache_write_1h_mtok=Decimal("5"),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                )
            ],
        ),
        ModelInfo(
            id="claude-opus-4-8",
            match=ClauseOr(
                or_=[
                    ClauseStartsWith(starts_with="claude-opus-4-8"),
                    ClauseStartsWith(starts_with="claude-opus-4.8"),
                    ClauseStartsWith(starts_with="claude-4-8-opus"),
                    ClauseStartsWith(starts_with="claude-4.8-opus"),
                ]
            ),
            name="Claude Opus 4.8",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("5"),
                cache_write_mtok=Decimal("6.25"),
                cache_read_mtok=Decimal("0.5"),
                output_mtok=Decimal("25"),
                cache_write_1h_mtok=Decimal("10"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("2.5"),
                        cache_write_mtok=Decimal("3.125"),
                        cache_read_mtok=Decimal("0.25"),
                        output_mtok=Decimal("12.5"),
                        cache_write_1h_mtok=Decimal("5"),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                ),
                PriceVariant(
                    when={"speed": "fast"},
                    prices=ModelPrice(
                        input_mtok=Decimal("10"),
                        cache_write_mtok=Decimal("12.5"),
                        cache_read_mtok=Decimal("1"),
                        output_mtok=Decimal("50"),
                        cache_write_1h_mtok=Decimal("20"),
                    ),
                    constraint=None,
                ),
            ],
        ),
        ModelInfo(
            id="claude-opus-5",
            match=ClauseOr(
                or_=[
                    ClauseEquals(equals="claude-opus-5"),
                    ClauseEquals(equals="claude-opus-5-latest"),
                    ClauseRegex(regex="^claude-opus-5[-@]\\d{8}$"),
                    ClauseRegex(regex="^claude-opus-5-\\d{4}-\\d{2}-\\d{2}$"),
                    ClauseStartsWith(starts_with="claude-opus-5.0"),
                    ClauseStartsWith(starts_with="claude-5-opus"),
                    ClauseStartsWith(starts_with="claude-5.0-opus"),
                ]
            ),
            name="Claude Opus 5",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("5"),
                cache_write_mtok=Decimal("6.25"),
                cache_read_mtok=Decimal("0.5"),
                output_mtok=Decimal("25"),
                cache_write_1h_mtok=Decimal("10"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("2.5"),
                        cache_write_mtok=Decimal("3.125"),
                        cache_read_mtok=Decimal("0.25"),
                        output_mtok=Decimal("12.5"),
                        cache_write_1h_mtok=Decimal("5"),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                ),
                PriceVariant(
                    when={"speed": "fast"},
                    prices=ModelPrice(
                        input_mtok=Decimal("10"),
                        cache_write_mtok=Decimal("12.5"),
                        cache_read_mtok=Decimal("1"),
                        output_mtok=Decimal("50"),
                        cache_write_1h_mtok=Decimal("20"),
                    ),
                    constraint=None,
                ),
            ],
        ),
        ModelInfo(
            id="claude-opus-5-5",
            match=ClauseOr(
                or_=[
                    ClauseEquals(equals="claude-opus-5-5"),
                    ClauseRegex(regex="^claude-opus-5-5-\\d{8}$"),
                    ClauseStartsWith(starts_with="claude-opus-5.5"),
                    ClauseStartsWith(starts_with="claude-5-5-opus"),
                    ClauseStartsWith(starts_with="claude-5.5-opus"),
                ]
            ),
            name="Claude Opus 5.5",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("4"),
                cache_write_mtok=Decimal("5"),
                cache_read_mtok=Decimal("0.2"),
                output_mtok=Decimal("20"),
                cache_write_1h_mtok=Decimal("8"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("2"),
                        cache_write_mtok=Decimal("2.5"),
                        cache_read_mtok=Decimal("0.1"),
                        output_mtok=Decimal("10"),
                        cache_write_1h_mtok=Decimal("4"),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                ),
                PriceVariant(
                    when={"speed": "fast"},
                    prices=ModelPrice(
                        input_mtok=Decimal("8"),
                        cache_write_mtok=Decimal("10"),
                        cache_read_mtok=Decimal("0.4"),
                        output_mtok=Decimal("40"),
                        cache_write_1h_mtok=Decimal("16"),
                    ),
                    constraint=None,
                ),
            ],
        ),
        ModelInfo(
            id="claude-sonnet-4-0",
            match=ClauseOr(
                or_=[
                    ClauseStartsWith(starts_with="claude-sonnet-4-2025"),
                    ClauseStartsWith(starts_with="claude-sonnet-4-0"),
                    ClauseStartsWith(starts_with="claude-sonnet-4@"),
                    ClauseEquals(equals="claude-sonnet-4"),
                    ClauseStartsWith(starts_with="claude-4-sonnet"),
                ]
            ),
            name="Claude Sonnet 4",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("3"),
                cache_write_mtok=Decimal("3.75"),
                cache_read_mtok=Decimal("0.3"),
                output_mtok=Decimal("15"),
                cache_write_1h_mtok=Decimal("6"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=None,
        ),
        ModelInfo(
            id="claude-sonnet-4-5",
            match=ClauseOr(
                or_=[
                    ClauseStartsWith(starts_with="claude-sonnet-4-5"),
                    ClauseStartsWith(starts_with="claude-sonnet-4.5"),
                ]
            ),
            name="Claude Sonnet 4.5",
            description=None,
            context_window=200000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=TieredPrices(base=Decimal("3"), tiers=[Tier(start=200000, price=Decimal("6"))]),
                cache_write_mtok=TieredPrices(base=Decimal("3.75"), tiers=[Tier(start=200000, price=Decimal("7.5"))]),
                cache_read_mtok=TieredPrices(base=Decimal("0.3"), tiers=[Tier(start=200000, price=Decimal("0.6"))]),
                output_mtok=TieredPrices(base=Decimal("15"), tiers=[Tier(start=200000, price=Decimal("22.5"))]),
                cache_write_1h_mtok=TieredPrices(base=Decimal("6"), tiers=[Tier(start=200000, price=Decimal("12"))]),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=TieredPrices(base=Decimal("1.5"), tiers=[Tier(start=200000, price=Decimal("3"))]),
                        cache_write_mtok=TieredPrices(
                            base=Decimal("1.875"), tiers=[Tier(start=200000, price=Decimal("3.75"))]
                        ),
                        cache_read_mtok=TieredPrices(
                            base=Decimal("0.15"), tiers=[Tier(start=200000, price=Decimal("0.3"))]
                        ),
                        output_mtok=TieredPrices(
                            base=Decimal("7.5"), tiers=[Tier(start=200000, price=Decimal("11.25"))]
                        ),
                        cache_write_1h_mtok=TieredPrices(
                            base=Decimal("3"), tiers=[Tier(start=200000, price=Decimal("6"))]
                        ),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                )
            ],
        ),
        ModelInfo(
            id="claude-sonnet-4-6",
            match=ClauseOr(
                or_=[
                    ClauseStartsWith(starts_with="claude-sonnet-4-6"),
                    ClauseStartsWith(starts_with="claude-sonnet-4.6"),
                ]
            ),
            name="Claude Sonnet 4.6",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=[
                ConditionalPrice(
                    constraint=None,
                    prices=ModelPrice(
                        input_mtok=TieredPrices(base=Decimal("3"), tiers=[Tier(start=200000, price=Decimal("6"))]),
                        cache_write_mtok=TieredPrices(
                            base=Decimal("3.75"), tiers=[Tier(start=200000, price=Decimal("7.5"))]
                        ),
                        cache_read_mtok=TieredPrices(
                            base=Decimal("0.3"), tiers=[Tier(start=200000, price=Decimal("0.6"))]
                        ),
                        output_mtok=TieredPrices(base=Decimal("15"), tiers=[Tier(start=200000, price=Decimal("22.5"))]),
                        cache_write_1h_mtok=TieredPrices(
                            base=Decimal("6"), tiers=[Tier(start=200000, price=Decimal("12"))]
                        ),
                        web_searches_kcount=Decimal("10"),
                    ),
                ),
                ConditionalPrice(
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 3, 13)),
                    prices=ModelPrice(
                        input_mtok=Decimal("3"),
                        cache_write_mtok=Decimal("3.75"),
                        cache_read_mtok=Decimal("0.3"),
                        output_mtok=Decimal("15"),
                        cache_write_1h_mtok=Decimal("6"),
                        web_searches_kcount=Decimal("10"),
                    ),
                ),
            ],
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("1.5"),
                        cache_write_mtok=Decimal("1.875"),
                        cache_read_mtok=Decimal("0.15"),
                        output_mtok=Decimal("7.5"),
                        cache_write_1h_mtok=Decimal("3"),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                )
            ],
        ),
        ModelInfo(
            id="claude-sonnet-5",
            match=ClauseOr(
                or_=[
                    ClauseEquals(equals="claude-sonnet-5"),
                    ClauseRegex(regex="^claude-sonnet-5-\\d{8}$"),
                    ClauseStartsWith(starts_with="claude-sonnet-5@"),
                    ClauseStartsWith(starts_with="claude-sonnet-5.0"),
                    ClauseStartsWith(starts_with="claude-5-sonnet"),
                    ClauseStartsWith(starts_with="claude-5.0-sonnet"),
                ]
            ),
            name="Claude Sonnet 5",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("2"),
                cache_write_mtok=Decimal("2.5"),
                cache_read_mtok=Decimal("0.2"),
                output_mtok=Decimal("10"),
                cache_write_1h_mtok=Decimal("4"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("1"),
                        cache_write_mtok=Decimal("1.25"),
                        cache_read_mtok=Decimal("0.1"),
                        output_mtok=Decimal("5"),
                        cache_write_1h_mtok=Decimal("2"),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                )
            ],
        ),
        ModelInfo(
            id="claude-sonnet-5-5",
            match=ClauseOr(
                or_=[
                    ClauseEquals(equals="claude-sonnet-5-5"),
                    ClauseRegex(regex="^claude-sonnet-5-5-\\d{8}$"),
                    ClauseStartsWith(starts_with="claude-sonnet-5-5@"),
                    ClauseStartsWith(starts_with="claude-sonnet-5.5"),
                    ClauseStartsWith(starts_with="claude-5-5-sonnet"),
                    ClauseStartsWith(starts_with="claude-5.5-sonnet"),
                ]
            ),
            name="Claude Sonnet 5.5",
            description=None,
            context_window=1000000,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(
                input_mtok=Decimal("2"),
                cache_write_mtok=Decimal("2.5"),
                cache_read_mtok=Decimal("0.1"),
                output_mtok=Decimal("10"),
                cache_write_1h_mtok=Decimal("4"),
                web_searches_kcount=Decimal("10"),
            ),
            price_variants=[
                PriceVariant(
                    when={"processing": "batch"},
                    prices=ModelPrice(
                        input_mtok=Decimal("1"),
                        cache_write_mtok=Decimal("1.25"),
                        cache_read_mtok=Decimal("0.05"),
                        output_mtok=Decimal("5"),
                        cache_write_1h_mtok=Decimal("2"),
                    ),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                )
            ],
        ),
        ModelInfo(
            id="claude-v1",
            match=ClauseEquals(equals="claude-v1"),
            name=None,
            description=None,
            context_window=None,
            price_comments=None,
            deprecated=None,
            prices=ModelPrice(input_mtok=Decimal("8"), output_mtok=Decimal("24")),
            price_variants=None,
        ),
    ],
)
