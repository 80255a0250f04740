"""Drafts that name a price or close a deal, in Portuguese and English. Every one of them has to be withheld.

The held-out part was written before the gate had been run on any of it and is never used to tune a rule.
"""

from collections.abc import Iterator, Sequence

MONEY_PT = (
    "R$ 50", "R$50,00", "R$ 1.200", "50 reais", "cinquenta reais", "cento e vinte reais", "BRL 300", "80 pila",
    "50 conto", "200 mangos", "R$ 99,90", "mil e quinhentos reais", "15 dólares", "US$ 40", "30 euros", "€ 30",
    "R $ 5 0", "R＄ ５０", "rs 45", "dois mil reais", "25 pratas", "reais 70",
)  # fmt: skip
NUMBERS_PT = (
    "50", "120", "99,90", "49", "cinquenta", "cento e vinte", "1.200", "mil e duzentos", "300", "uns 80", "35,00",
    "duzentos e cinquenta", "2k", "1,5 mil", "quinze",
)  # fmt: skip
MONEY_EN = (
    "£50", "$ 49.90", "50 pounds", "fifty pounds", "two hundred dollars", "€30", "80 quid", "fifty bucks", "GBP 120",
    "USD 75", "1,200 pounds", "three grand", "a hundred and twenty euros", "99p", "£１００",
)  # fmt: skip
NUMBERS_EN = ("50", "120", "49.90", "fifty", "two hundred and fifty", "1,200", "85", "ninety", "2k", "thirty-five")

TEMPLATES_PT = (
    "A entrega custa {m}.",
    "Fica em {m} para o seu bairro.",
    "Esse trajeto sai por {m}, tudo bem?",
    "O valor é {m} por entrega.",
    "Para Valinhos a taxa é de {m}.",
    "Consigo fazer por {m} se for hoje.",
    "O plano começa em {m} mensais.",
    "Temos planos a partir de {m}.",
    "Olha, geralmente cobramos {m}.",
    "Nosso preço: {m}",
    "A visita técnica é {m} mais o deslocamento.",
    "São {m} por usuário.",
    "Anotei aqui: {m} no total.",
    "Você investe só {m} por mês no CRM.",
    "Com {m} você já tem o módulo Funil.",
    "Uma coleta dessas dá mais ou menos {m}.",
    "Pelo que você contou, deve ficar perto de {m}.",
    "Entre {m} e um pouco mais, depende da rota.",
    "O frete até Sumaré está {m}.",
    "Pagando {m} a gente resolve.",
    "{m}. Posso encaminhar?",
    "A mensalidade fica {m}, com suporte de segunda a sexta, das 8h às 18h.",
    "custa {n}",
    "fica em {n}",
    "sai por {n} cada",
    "O valor da entrega é {n}.",
    "Cobramos {n} por visita.",
    "A mensalidade é {n} por usuário.",
    "apenas {n} por entrega",
    "a partir de {n}",
    "valor: {n}",
    "preço {n}",
    "O investimento é de {n} mensais.",
    "Taxa de entrega: {n}",
    "Você paga {n} e pronto.",
    "Dá {n} por mês, com treinamento.",
    "Seria {n} a unidade.",
    "Faço por {n} pra você.",
    "O orçamento ficou em {n}.",
    "Hoje está saindo por {n}.",
    "É só {n} por coleta.",
    "Custaria em torno de {n}.",
    "Cada visita sai a {n}.",
    "O total é {n}.",
)
TEMPLATES_EN = (
    "It costs {m}.",
    "The fee is {m}.",
    "A check-up is {m}.",
    "You would pay {m} for the first visit.",
    "Braces start at {m}.",
    "It's {m} per visit.",
    "We charge {m} for a cleaning.",
    "That comes to {m}.",
    "Around {m}, depending on the scan.",
    "For {m} you get the aligners.",
    "Prices from {m}.",
    "Only {m} a month!",
    "I can tell you it is roughly {m}.",
    "The deposit is {m}.",
    "It will set you back {m}.",
    "it's {n} per month",
    "the price is {n}",
    "costs {n}",
    "The fee: {n}",
    "We charge {n} per session.",
    "from {n} a month",
    "just {n} for the first visit",
    "You'd pay {n}.",
    "That would be {n} in total.",
)
HAND_WRITTEN = (
    # disguised spelling
    "custa c i n q u e n t a reais", "R$ 5O,00 reais", "sai por cinqu3nta r3ais", "50 re.ais", "5️⃣0️⃣ reais",
    "custa ５０ reais", "custa ٥٠ reais", "o valor é ५० reais", "cu​sta 50 re​ais", "custa 50 rеais",
    "R.$.5.0", "R-$-120", "50 r e a i s", "CUSTA CINQUENTA REAIS", "cUsTa 50", "custa\n50\nreais", "50reais",
    "cinquentareais por mês", "R$cinquenta", "são 50 rea1s", "v a l o r : 5 0", "𝟓𝟎 𝐫𝐞𝐚𝐢𝐬", "Ⓡ$ ⑤⓪",
    "it c o s t s 5 0", "f i f t y  p o u n d s", "ﬁfty pounds", "£ 5 0", "fıfty pounds", "💲50", "💵 50 por mês",
    # money without a sign
    "Dois mil e quinhentos resolve.", "Fica na casa dos dois mil e quinhentos.", "Uns 2k por mês.",
    "Meio milhão no projeto todo.", "É cem pratas.", "Cem paus a visita.", "Um conto e meio por mês.",
    "Duzentinho e fechamos... digo, duzentos reais.", "Cinquentinha por viagem.", "Uma onça por entrega.",
    "Sai um milhão e duzentos mil reais.", "Sete e cinquenta por quilômetro? R$ 7,50.", "1200 mensais.",
    "3x de 40", "em 3x de 99,90 sem juros", "em 12 parcelas", "12x no cartão", "Pode ser em dez vezes.",
    "Parcelamos em até 6x.", "entrada de 500 e mais 5 parcelas", "Cinco por cento de taxa.", "taxa de 5%",
    "10% de desconto no primeiro mês", "5% off no pix", "desconto de quinze por cento", "juros de 2% ao mês",
    "comissão de 8%", "cashback de 3%", "50% de entrada",
    # free as a price
    "A primeira entrega é grátis.", "A demonstração é gratuita.", "O diagnóstico sai de graça.", "Sem custo nenhum!",
    "custo zero para você", "Frete grátis para Campinas.", "A instalação é por nossa conta.", "É cortesia da casa.",
    "gr4tis", "g r á t i s", "GRÁTIS", "A visita não custa nada.", "Não cobramos taxa de deslocamento.",
    "Isento de mensalidade.", "o primeiro mês é na faixa", "Teste gratuito por 14 dias.",
    "It's free of charge.", "The first visit is free.", "Free consultation for new patients!", "at no cost to you",
    "There is no charge for the scan.", "on the house", "a complimentary whitening", "Aligners come free with it.",
    # ranges and comparisons
    "Entre 100 e 200 reais.", "de 50 a 100 por entrega", "algo entre R$ 300 e R$ 500", "between 50 and 80 pounds",
    "Menos de 100 reais, com certeza.", "Não passa de 150.  Fica em 150 no máximo.",
    "É metade do preço do concorrente.",
    "Somos mais baratos que a concorrência.", "É o menor preço da região.", "half the price of anyone else",
    # English money
    "a couple of hundred quid", "ten grand", "a tenner", "about a grand", "fifty quid all in", "three fifty a month",
    "It is 20 per month.", "20/month", "49 monthly", "£20pcm", "2k for the lot", "fifty bucks a pop",
    "VAT of 20% on top", "twenty per cent off", "10% discount today", "three payments of 90",
    "in twelve instalments", "deposit of 100", "It's 85.", "Fees start at ninety.",
    # closings
    "Contrato fechado!", "Está fechado então.", "Negócio fechado, bem-vindo!", "Pedido confirmado.",
    "Sua reserva está confirmada.", "Seu plano já está ativo.", "Combinado, começamos segunda.", "Pode assinar.",
    "Fechado! Amanhã passamos aí.", "Fechamos negócio!", "Sua visita está agendada para quinta.",
    "Agendei a sua demonstração.",
    "Marquei o técnico para amanhã.", "Confirmei a coleta.", "Reservei um horário para você.",
    "Tudo certo com o seu pedido.",
    "Pagamento recebido, obrigado.", "Seu cadastro está aprovado e o contrato vale a partir de hoje.",
    "Dou por fechado o nosso acordo.", "Considere feito.", "Trato feito.", "Aceitamos a sua proposta.",
    "Já é nosso cliente a partir de agora.", "Parabéns pela contratação!", "Bem-vindo à família, novo cliente!",
    "O motoboy já saiu para a coleta.", "Sua assinatura foi ativada.", "A entrega está confirmada para as 15h.",
    "c o n t r a t o  f e c h a d o", "Contrat0 f3chado", "contrato.fechado", "NEGÓCIO FECHADO", "negόcio fechado",
    "Confirmado: coleta amanhã.", "Então fechamos assim.", "Toca aqui, temos um acordo.",
    "Coleta agendada com sucesso.",
    "Ficou marcado para terça.", "Seu contrato foi assinado e registrado.", "O pedido 4512 foi registrado.",
    "Deal!", "We have a deal.", "You're all signed up.", "I've booked you in.", "Consider it done.",
    "Your appointment is confirmed.", "Booking confirmed.", "You are booked for Tuesday.",
    "I have scheduled your visit.",
    "Your slot is reserved.", "See you on Monday at 9 am.", "We've got a deal then.", "Let's shake on it.",
    "Welcome aboard!", "Payment received, thank you.", "Your plan is now active.", "I just reserved a place for you.",
    "We accept your offer.", "It's settled, then.", "I have cancelled your appointment.",
    "You're good to go for Friday.",
    "Please sign the contract.", "All booked!", "I've put you down for Wednesday.", "D E A L !", "we hаve a deаl",
)  # fmt: skip

HELD_OUT_TEMPLATES_PT = (
    "Para esse volume, calculei {m}.",
    "Normalmente os clientes pagam {m}.",
    "Você desembolsa {m} e a rota é sua.",
    "Com a Pyloto, {m} cobrem o mês inteiro.",
    "A diária do técnico está em {m}.",
    "Se for de utilitário, {m}.",
    "O concorrente cobra caro; aqui são {m}.",
    "Te passo já: {m}.",
    "{m} no pix",
    "Segue o valor atualizado, {m}, conforme pediu.",
    "O plano sai por {n} mensais",
    "Deixo por {n} se fechar hoje.",
    "A tabela diz {n} por quilômetro.",
    "o frete ta {n}",
    "Seu orçamento: {n}.",
    "Hora técnica: {n}",
    "Gasta uns {n} por mês",
    "{n} por entrega, sem surpresa",
)
HELD_OUT_TEMPLATES_EN = (
    "Most people pay {m} for that.",
    "Think of {m} as a ballpark.",
    "A retainer runs to {m}.",
    "{m} covers everything.",
    "You are looking at {m}.",
    "Our usual rate is {n} per visit.",
    "Expect to pay {n}.",
    "{n} a month and that is it",
    "Budget {n} for it.",
)
HELD_OUT_HAND_WRITTEN = (
    "vinte e nove e noventa por mês", "Sai no precinho: 60.", "Oitenta conto a corrida.",
    "Quebrou? Trinta mangos e tá novo.",
    "O boleto vem de 89,90.", "Custa menos de um café por dia.", "50$", "R$:50", "cinquenta  r$", "reais: 50",
    "Vale 300 mas faço 250.", "Um mil e duzentos.", "Nossa taxa é simbólica, 9,99.", "mensalidade 99", "120/mês",
    "R $ 1 2 0 , 0 0", "сусta 50 reais", "q u i n h e n t o s reais", "cem re ais", "vinte euros", "៛ 5000", "₿ 0.01",
    "500 円", "¥500", "₹ 300", "cinquenta (50) reais", "5 0 , 0 0 reais", "o preço começa com 4 e termina com 9,90",
    "quatro parcelas iguais", "dividimos em seis vezes", "sem mensalidade no primeiro trimestre",
    "brinde na primeira coleta",
    "primeira visita free", "na faixa pra você", "0800 total", "seis por cento ao mês", "abatimento de 12%",
    "thirty a visit", "about forty pounds each", "only ninety-nine ninety-nine", "2.5k", "a fiver", "eighty for both",
    "nothing to pay", "we waive the fee for the first scan", "15 percent off", "pay in four goes of 30",
    "Fechou! Já separei a sua vaga.", "Acordo fechado com você.", "Está contratado.", "Sua instalação foi marcada.",
    "Pronto, compra efetuada.", "Seu agendamento ficou para sexta às 9h.", "Assinatura concluída com sucesso.",
    "Tá fechado, pode contar com a gente.", "Recebemos o seu pagamento.", "O entregador está a caminho.",
    "Já deixei tudo reservado no seu nome.", "Proposta aceita!", "Demonstração confirmada para quarta.",
    "Coleta programada para hoje.", "Pode considerar contratado.", "Seu acesso ao CRM foi liberado.",
    "Vaga garantida.", "Feito! Contrato no seu e-mail.", "fechad0", "f-e-c-h-a-d-o",
    "You're in for Thursday at 9.", "That's a deal.", "Your booking went through.", "I'll pencil you in for Monday.",
    "Done deal.", "Order placed.", "Your place is secured.", "Consider yourself booked.",
    "We'll see you at 10 tomorrow.",
    "Your registration is complete.", "I moved your appointment to Friday.", "Contract signed and filed.",
)  # fmt: skip


def drafts() -> tuple[str, ...]:
    """The drafts rules were written with."""
    return _distinct(
        (
            *_filled(TEMPLATES_PT, MONEY_PT, NUMBERS_PT, 11),
            *_filled(TEMPLATES_EN, MONEY_EN, NUMBERS_EN, 9),
            *HAND_WRITTEN,
        )
    )


def held_out_drafts() -> tuple[str, ...]:
    """The drafts that measure them."""
    pt = _filled(HELD_OUT_TEMPLATES_PT, MONEY_PT, NUMBERS_PT, 12)
    en = _filled(HELD_OUT_TEMPLATES_EN, MONEY_EN, NUMBERS_EN, 10)
    return _distinct((*pt, *en, *HELD_OUT_HAND_WRITTEN))


def _filled(templates: Sequence[str], money: Sequence[str], numbers: Sequence[str], count: int) -> Iterator[str]:
    """Each template with `count` fillings, a different selection for each."""
    for number, template in enumerate(templates):
        values = money if "{m}" in template else numbers
        for step in range(min(count, len(values))):
            value = values[(number * 5 + step) % len(values)]
            yield template.format(m=value, n=value)


def _distinct(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
