"""Pairs of questions in Portuguese and English: which may share an answer, and which must not.

Traps are made from frames: two fillings of one frame ask for different things and look almost the same. What is
written by hand stands apart from what is generated. The frames and the first two sets of hand-written traps have
corrected the gate (three of the second set's fifty were hits when it was first run on them); the third set was written
after that, and nothing was changed for it.
"""

import itertools
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PORTUGUESE, ENGLISH = "pt-BR", "en"


@dataclass(frozen=True)
class Pair:
    """Two questions; `kind` says how they differ."""

    first: str
    second: str
    kind: str
    language: str


# Frames with one place each, and what can stand there: every two fillings are a trap.
PORTUGUESE_FRAMES = {
    "place": (
        ("vocês entregam em {}", "fazem coleta em {}", "o endereço de vocês é em {}", "quanto tempo leva para {}"),
        (
            "Campinas", "Santos", "Valinhos", "Vinhedo", "campinas", "santos", "paulínia", "jundiaí", "São Paulo",
            "limeira",
        ),
    ),
    "date": (
        ("vocês abrem {}", "posso receber a entrega {}", "tem atendimento {}", "o prazo é até {}"),
        ("hoje", "amanhã", "segunda", "sexta", "sábado", "domingo", "feriado", "à noite", "de manhã", "dia 12",
            "dia 21"),
    ),
    "number": (
        ("preciso de {} entregas por dia", "o sistema é para {} pessoas", "abrem às {} horas", "são {} pedidos ao mês"),
        ("2", "3", "12", "20", "200", "dois", "três", "dez", "mil", "1,5", "15", "1.500"),
    ),
    "amount": (
        ("posso pagar {}", "meu orçamento é de {}", "tem desconto de {}"),
        ("R$ 50", "R$ 500", "50%", "5%", "50 reais", "500 reais", "R$ 5.000"),
    ),
    "name": (
        ("quero falar com {}", "o atendimento foi feito por {}", "o pedido está no nome de {}"),
        ("a Ana", "a Carla", "o Bruno", "o Pedro", "ana", "carla", "bruno", "o Zeferino"),
    ),
    "polarity": (
        ("vocês {} entrega no centro", "o sistema de vocês {} relatório", "eu {} um contrato", "vocês {} coleta aqui"),
        ("fazem", "não fazem", "nunca fazem", "só fazem", "deixam de fazer"),
    ),
    "with or without": (
        ("quero a entrega {} seguro", "o sistema funciona {} internet", "posso contratar {} cadastro"),
        ("com", "sem", "só com", "só sem"),
    ),
    "before or after": (
        ("posso buscar o pedido {} das entregas", "o pagamento é {} do serviço", "vocês ligam {} da visita"),
        ("antes", "depois", "na hora", "no dia"),
    ),
    "verb": (
        ("quero {} um pedido", "como faço para {} o contrato", "preciso {} o serviço", "posso {} o cadastro aqui"),
        ("cancelar", "confirmar", "abrir", "fechar", "mudar", "pagar", "receber", "comprar", "vender"),
    ),
    "thing": (
        ("qual é o {} da empresa", "como funciona o {} de vocês", "preciso saber o {} para hoje", "me manda o {}"),
        ("horário", "endereço", "telefone", "prazo", "preço", "e-mail", "site", "contrato", "sistema", "atendimento"),
    ),
    "service": (
        ("vocês fazem {}", "queria saber mais sobre {}", "quanto custa {} na minha região", "como peço {}"),
        ("entrega", "coleta", "manutenção", "instalação", "sistema", "limpeza", "pintura"),
    ),
    "question": (
        ("{} vocês entregam o pedido", "{} eu falo com a equipe", "{} vocês trabalham"),
        ("quando", "onde", "como", "por que", "para quem", "com quem", "em quanto tempo", "até quando"),
    ),
    "whose": (
        ("qual é o {} endereço", "a entrega vai para o {} cliente", "o problema está no {} sistema"),
        ("meu", "seu", "nosso", "outro", "mesmo", "novo"),
    ),
    "answer": (
        ("{}, pode fazer a entrega", "{}, eu quero o sistema", "{}, era para hoje"),
        ("sim", "não", "claro", "ainda não", "talvez"),
    ),
    "who": (
        ("{} a entrega", "{} o contrato hoje"),
        ("eu pago", "vocês pagam", "eu recebo", "vocês recebem", "ele paga", "ela recebe"),
    ),
}  # fmt: skip

ENGLISH_FRAMES = {
    "place": (
        ("do you have a clinic in {}", "is there parking near {}", "how far are you from {}"),
        ("Dover", "London", "Bristol", "dover", "leeds", "York", "the city", "the harbour"),
    ),
    "date": (
        ("are you open on {}", "can I come on {}", "is there an appointment free {}"),
        ("monday", "friday", "saturday", "sunday", "today", "tomorrow", "the 12th", "the 21st", "christmas"),
    ),
    "number": (
        ("I need an appointment for {} people", "my son is {} years old", "do you open at {}", "it hurt for {} days"),
        ("2", "3", "12", "20", "two", "three", "ten", "15", "1.5", "50"),
    ),
    "name": (
        ("I would like to see {}", "is {} in today", "my appointment is with {}"),
        ("Dr Smith", "Dr Jones", "dr smith", "dr jones", "Anna", "Mary", "anna", "mark"),
    ),
    "polarity": (
        ("you {} new patients", "I {} an appointment for today", "my tooth {} when I eat", "they {} insurance"),
        ("do take", "do not take", "don't take", "never take", "only take"),
    ),
    "with or without": (
        ("can I be seen {} an appointment", "is it done {} anaesthetic", "may I come {} my child"),
        ("with", "without", "only with", "even without"),
    ),
    "before or after": (
        ("should I eat {} the treatment", "do I pay {} the visit", "can you call me {} five"),
        ("before", "after", "during", "until"),
    ),
    "verb": (
        ("I want to {} my appointment", "how do I {} a treatment", "can you {} my booking"),
        ("cancel", "confirm", "change", "move", "make", "pay", "repeat"),
    ),
    "thing": (
        ("what is your {}", "can you send me the {}", "I need the {} of the clinic"),
        ("address", "phone number", "email", "price", "opening time", "closing time", "website"),
    ),
    "question": (
        ("{} do you treat children", "{} can I see a dentist"),
        ("when", "where", "how", "why", "how often", "how soon"),
    ),
    "whose": (
        ("is it {} first visit", "where is {} appointment", "please cancel {} booking"),
        ("my", "your", "his", "her", "our", "their"),
    ),
    "answer": (
        ("{}, please book it", "{}, I want the morning", "{}, that was today"),
        ("yes", "no", "not yet", "of course not", "sure"),
    ),
}  # fmt: skip

# What people write around a question; the longer it is, the less one word of difference moves the cosine.
AROUND = {
    PORTUGUESE: (
        "{}?",
        "Oi, bom dia! {}? Obrigado",
        "Olá, tudo bem? Estou olhando o site de vocês e queria saber o seguinte: {}? Fico no aguardo da resposta",
    ),
    ENGLISH: (
        "{}?",
        "Hi, good morning! {}? Thanks",
        "Hello there, I was looking at your website and wanted to ask the following: {}? I look forward to your answer",
    ),
}

REVERSALS = {
    PORTUGUESE: (
        ("entregam de {} para {}", ("Campinas", "Santos", "o centro", "a loja", "minha casa", "São Paulo")),
        ("o pedido vai de {} até {}", ("campinas", "santos", "valinhos", "vinhedo")),
        ("quem paga é {} ou {}", ("o cliente", "a empresa", "a loja", "o motorista")),
        ("passei de {} para {} pessoas", ("2", "3", "10", "20")),
        ("prefiro {} a {}", ("entrega", "coleta", "manhã", "tarde", "telefone", "e-mail")),
        ("{} depois de {}", ("pagar", "receber", "contratar", "visitar")),
    ),
    ENGLISH: (
        ("how do I get from {} to {}", ("Dover", "London", "the station", "the clinic")),
        ("is {} before {}", ("the cleaning", "the check-up", "lunch", "the x-ray")),
        ("I want to move it from {} to {}", ("monday", "friday", "nine", "ten", "morning", "evening")),
        ("does {} cost more than {}", ("a filling", "a crown", "a cleaning", "a visit")),
    ),
}

HAND_WRITTEN_TRAPS = (
    ("Vocês entregam para minha avó?", "Vocês entregam para meu avô?", PORTUGUESE),
    ("Não, quero contratar", "Não quero contratar", PORTUGUESE),
    ("Não posso esperar", "Não, posso esperar", PORTUGUESE),
    ("Pode confirmar o pedido?", "Pode confirmar o pedido não", PORTUGUESE),
    ("O cliente pagou a empresa", "A empresa pagou o cliente", PORTUGUESE),
    ("Quero entrega e não coleta", "Quero coleta e não entrega", PORTUGUESE),
    ("A loja abre ou fecha no feriado?", "A loja fecha ou abre mais cedo no feriado?", PORTUGUESE),
    ("Preciso do sistema até sexta", "Preciso do sistema a partir de sexta", PORTUGUESE),
    ("São 15 caixas de 2 kg", "São 2 caixas de 15 kg", PORTUGUESE),
    ("Entrego de manhã e recebo à tarde", "Recebo de manhã e entrego à tarde", PORTUGUESE),
    ("Posso mudar a entrega de terça para quinta?", "Posso mudar a entrega de quinta para terça?", PORTUGUESE),
    ("vocês atendem pessoa física", "vocês atendem pessoa jurídica", PORTUGUESE),
    ("o sistema tem versão para android", "o sistema tem versão para iphone", PORTUGUESE),
    ("quero ser cliente", "quero deixar de ser cliente", PORTUGUESE),
    ("tem como entregar menos de 5 kg", "tem como entregar mais de 5 kg", PORTUGUESE),
    ("vocês ligam para mim", "eu ligo para vocês", PORTUGUESE),
    ("o motorista já saiu", "o motorista ainda não saiu", PORTUGUESE),
    ("é para hoje ou amanhã", "é para amanhã ou depois", PORTUGUESE),
    ("aceitam cartão de crédito", "aceitam cartão de débito", PORTUGUESE),
    ("meu pedido chegou", "meu pedido chegou errado", PORTUGUESE),
    ("entregam aos sábados", "entregam só aos sábados", PORTUGUESE),
    ("o preço aumentou", "o preço diminuiu", PORTUGUESE),
    ("quem fala é o gerente", "quero falar com o gerente", PORTUGUESE),
    ("todos os dias", "nem todos os dias", PORTUGUESE),
    ("o crm é de vocês", "o crm é nosso", PORTUGUESE),
    ("tudo certo 👍", "tudo certo 👎", PORTUGUESE),
    ("Vocês atendem de 8 às 18?", "Vocês atendem de 18 às 8?", PORTUGUESE),
    ("recebi o orçamento", "não recebi o orçamento", PORTUGUESE),
    ("quero contratar sem visita", "quero contratar com visita", PORTUGUESE),
    ("o sistema caiu ontem", "o sistema caiu hoje", PORTUGUESE),
    ("Can I eat before the treatment?", "Can I eat after the treatment?", ENGLISH),
    ("No, I have an appointment", "I have no appointment", ENGLISH),
    ("Do dogs bite children?", "Do children bite dogs?", ENGLISH),
    ("Can the dentist call the patient?", "Can the patient call the dentist?", ENGLISH),
    ("I can come on Monday", "I can't come on Monday", ENGLISH),
    ("I want the filling, not the crown", "I want the crown, not the filling", ENGLISH),
    ("Is it more than 100?", "Is it less than 100?", ENGLISH),
    ("Do you open at 8am?", "Do you open at 8pm?", ENGLISH),
    ("My upper tooth hurts", "My lower tooth hurts", ENGLISH),
    ("Is the treatment safe?", "Is the treatment unsafe?", ENGLISH),
    ("Please book me in", "Please don't book me in", ENGLISH),
    ("Are you open?", "Are you closed?", ENGLISH),
    ("It started to hurt", "It stopped hurting", ENGLISH),
    ("Do you take adults?", "Do you take children?", ENGLISH),
    ("Left side please", "Right side please", ENGLISH),
    ("I need two appointments in one week", "I need one appointment in two weeks", ENGLISH),
    ("You have my number", "I have your number", ENGLISH),
    ("Is a deposit needed?", "Is no deposit needed?", ENGLISH),
    ("Everyone can come", "Not everyone can come", ENGLISH),
    ("Can I pay later?", "Can I pay now?", ENGLISH),
)

SECOND_SET = (
    ("posso cancelar sem multa", "posso cancelar com multa", PORTUGUESE),
    ("a coleta é antes da entrega", "a entrega é antes da coleta", PORTUGUESE),
    ("vocês cobram por entrega ou por mês", "vocês cobram por mês e por entrega", PORTUGUESE),
    ("Sim. Pode mandar o contrato", "Sim? Pode mandar o contrato?", PORTUGUESE),
    ("quero mais informações", "não quero mais informações", PORTUGUESE),
    ("já paguei", "já paguei?", PORTUGUESE),
    ("o pedido ainda vem", "o pedido já vem", PORTUGUESE),
    ("alguém me liga", "ninguém me liga", PORTUGUESE),
    ("quero tudo menos o sistema", "quero tudo mais o sistema", PORTUGUESE),
    ("preciso de duas pessoas por dia", "preciso de uma pessoa por dia", PORTUGUESE),
    ("é a primeira vez que peço", "é a segunda vez que peço", PORTUGUESE),
    ("a entrega foi para o cliente errado", "a entrega foi para o cliente certo", PORTUGUESE),
    ("o motorista falou com o cliente", "o cliente falou com o motorista", PORTUGUESE),
    ("posso pagar por hora", "posso pagar na hora", PORTUGUESE),
    ("vocês entregam em casa", "vocês entregam a casa", PORTUGUESE),
    ("esse é o meu endereço", "esse é o meu endereço?", PORTUGUESE),
    ("às 9 da manhã", "às 9 da noite", PORTUGUESE),
    ("manda de novo", "manda um novo", PORTUGUESE),
    ("preciso trocar o telefone", "preciso trocar de telefone", PORTUGUESE),
    ("quero um sistema e um contrato", "quero um sistema ou um contrato", PORTUGUESE),
    ("vocês vendem para empresas", "vocês vendem empresas", PORTUGUESE),
    ("o prazo é de 2 a 3 dias", "o prazo é de 23 dias", PORTUGUESE),
    ("trabalham de segunda a sexta", "trabalham segunda e sexta", PORTUGUESE),
    ("entregam 24 horas", "entregam em 24 horas", PORTUGUESE),
    ("eu não disse que quero", "eu disse que não quero", PORTUGUESE),
    ("só preciso da coleta", "preciso só da coleta hoje", PORTUGUESE),
    ("meu avô pediu", "minha avó pediu", PORTUGUESE),
    ("o sistema é novo", "é o sistema novo", PORTUGUESE),
    ("pode ser até meio-dia", "pode ser ao meio-dia", PORTUGUESE),
    ("recebem cartão aí", "recebem cartão aqui", PORTUGUESE),
    ("I didn't say I want it", "I said I didn't want it", ENGLISH),
    ("Are you the dentist?", "You are the dentist", ENGLISH),
    ("Is it the first visit?", "Is it the second visit?", ENGLISH),
    ("Do I need a crown or a filling?", "Do I need a crown and a filling?", ENGLISH),
    ("The appointment is at half past nine", "The appointment is at half past ten", ENGLISH),
    ("Somebody called me", "Nobody called me", ENGLISH),
    ("My tooth still hurts", "My tooth no longer hurts", ENGLISH),
    ("I want it on the left, not on the right", "I want it on the right, not on the left", ENGLISH),
    ("Can you see my son?", "Can my son see you?", ENGLISH),
    ("It hurts when I am cold", "It hurts when it is cold", ENGLISH),
    ("I paid the bill", "I pay the bill", ENGLISH),
    ("Do you do it for children?", "Do you do it for children only?", ENGLISH),
    ("Right, I want a cleaning", "Right I want a cleaning?", ENGLISH),
    ("I will come in an hour", "I will come for an hour", ENGLISH),
    ("May I come in May?", "May I come in March?", ENGLISH),
    ("Is it under 50?", "Is it over 50?", ENGLISH),
    ("One of the two hurts", "Two of the two hurt", ENGLISH),
    ("We are open", "Are we open", ENGLISH),
    ("Let me know before you do it", "Let me know after you do it", ENGLISH),
    ("I have an appointment", "Have I an appointment?", ENGLISH),
)

THIRD_SET = (
    ("pode entregar", "pode entregar?", PORTUGUESE),
    ("o site caiu", "o site caiu?", PORTUGUESE),
    ("o cliente quer falar com a equipe", "a equipe quer falar com o cliente", PORTUGUESE),
    ("preciso entregar 3 pedidos em 1 endereço", "preciso entregar 1 pedido em 3 endereços", PORTUGUESE),
    ("vocês não atendem só empresas", "vocês só não atendem empresas", PORTUGUESE),
    ("pago metade agora", "pago metade depois", PORTUGUESE),
    ("quero sair do contrato", "quero entrar no contrato", PORTUGUESE),
    ("mais de uma loja", "mais uma loja", PORTUGUESE),
    ("eu sou cliente", "sou eu o cliente?", PORTUGUESE),
    ("com certeza não", "não com certeza", PORTUGUESE),
    ("o primeiro pedido", "o último pedido", PORTUGUESE),
    ("falta um", "não falta nenhum", PORTUGUESE),
    ("quero o mais barato", "quero o mais rápido", PORTUGUESE),
    ("posso ir aí", "posso sair daí", PORTUGUESE),
    ("ontem à tarde", "amanhã à tarde", PORTUGUESE),
    ("o valor é por pessoa", "o valor é por empresa", PORTUGUESE),
    ("entregam na rua 15", "entregam na rua 51", PORTUGUESE),
    ("tem garantia", "sem garantia", PORTUGUESE),
    ("Is that all?", "That is all", ENGLISH),
    ("I need it on the 3rd of May", "I need it on the 5th of March", ENGLISH),
    ("You call me", "I call you", ENGLISH),
    ("Not today, tomorrow", "Today, not tomorrow", ENGLISH),
    ("I can pay you", "Can you pay me", ENGLISH),
    ("Are children free on Monday?", "Are children free until Monday?", ENGLISH),
    ("It is for me and my wife", "It is for my wife, not me", ENGLISH),
    ("Does it hurt?", "It does hurt", ENGLISH),
    ("More than one filling", "One more filling", ENGLISH),
    ("I had the tooth removed", "I have to remove the tooth", ENGLISH),
    ("Where do you work from?", "Where do you work to?", ENGLISH),
    ("Who can I see?", "Who can see me?", ENGLISH),
)

PARAPHRASES = (
    ("qual é o horário de atendimento?", "que horas vocês abrem?", PORTUGUESE),
    ("onde fica a empresa?", "qual é o endereço de vocês?", PORTUGUESE),
    ("quanto custa uma entrega?", "qual o preço da entrega?", PORTUGUESE),
    ("vocês fazem entrega no mesmo dia?", "dá para entregar hoje mesmo?", PORTUGUESE),
    ("quero falar com um atendente", "me passa para uma pessoa da equipe", PORTUGUESE),
    ("vocês desenvolvem sistemas?", "fazem software sob medida?", PORTUGUESE),
    ("como funciona o crm?", "me explica como é o crm de vocês", PORTUGUESE),
    ("em quais cidades vocês atendem?", "qual é a área de atendimento?", PORTUGUESE),
    ("o que vocês fazem?", "com o que a empresa trabalha?", PORTUGUESE),
    ("como faço para contratar?", "quero virar cliente, o que preciso fazer?", PORTUGUESE),
    ("tem contrato de fidelidade?", "existe prazo mínimo de contrato?", PORTUGUESE),
    ("vocês têm site?", "qual o site da empresa?", PORTUGUESE),
    ("que tipos de serviço vocês oferecem?", "quais são os serviços de vocês?", PORTUGUESE),
    ("preciso de ajuda com meu pedido", "estou com um problema no meu pedido", PORTUGUESE),
    ("o sistema funciona no celular?", "dá para usar o sistema pelo celular?", PORTUGUESE),
    ("what time do you open?", "when are your opening hours?", ENGLISH),
    ("where are you?", "what is your address?", ENGLISH),
    ("how do I book an appointment?", "I would like to make an appointment", ENGLISH),
    ("do you treat children?", "can I bring my kids to your dentist?", ENGLISH),
    ("my tooth hurts a lot", "I have terrible toothache", ENGLISH),
    ("how much is a cleaning?", "what does a hygiene visit cost?", ENGLISH),
    ("can I talk to a person?", "please pass me to somebody of the team", ENGLISH),
    ("do you have parking?", "where can I leave my car?", ENGLISH),
    ("which treatments do you offer?", "what kinds of treatment are there?", ENGLISH),
    ("can I cancel my appointment?", "I need to call off my visit", ENGLISH),
)

QUESTIONS = {
    PORTUGUESE: (
        "Qual é o horário de atendimento?", "Onde fica a empresa?", "Vocês fazem entrega no mesmo dia?",
        "Quais serviços vocês oferecem?", "Como funciona o sistema de vocês?", "Quero falar com um atendente",
        "Vocês desenvolvem sistema sob medida?", "Em quais cidades vocês atendem?", "Como faço para contratar?",
        "Qual é o telefone de vocês?", "O que é o CRM de vocês?", "Vocês trabalham com entregas para empresas?",
        "Preciso de um orçamento para entregas", "Quais formas de pagamento vocês aceitam?",
        "Vocês têm equipe de manutenção?", "Como peço uma coleta?", "O sistema funciona no celular?",
        "Qual é o prazo de entrega?", "Vocês atendem pequenas empresas?", "Tem alguém para me ajudar?",
    ),
    ENGLISH: (
        "What are your opening hours?", "Where is the clinic?", "How do I book an appointment?",
        "Do you treat children?", "Which treatments do you offer?", "Can I talk to a person?",
        "Do you take new patients?", "How long does a check-up take?", "Do you have parking?",
        "Can I change my appointment?",
    ),
}  # fmt: skip


def without_accents(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))


def _mistyped(text: str) -> str:
    """Two letters inside the longest word have changed places."""
    word = max(text.rstrip("?").split(), key=len)
    middle = len(word) // 2
    return text.replace(word, word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :])


def _letter_lost(text: str) -> str:
    word = max(text.rstrip("?").split(), key=len)
    return text.replace(word, word[: len(word) // 2] + word[len(word) // 2 + 1 :])


def _shortened(text: str) -> str:
    shorter = text.lower()
    for long, short in (
        ("vocês", "vcs"),
        ("você", "vc"),
        ("para", "pra"),
        ("que ", "q "),
        (" you ", " u "),
        ("are", "r"),
    ):
        shorter = shorter.replace(long, short)
    return shorter


EDITS: dict[str, Callable[[str], str]] = {
    "small letters": str.lower,
    "capitals": str.upper,
    "no accents": without_accents,
    "no punctuation": lambda text: text.replace("?", "").replace(",", ""),
    "more punctuation": lambda text: text.replace("?", "???") + "..",
    "spaces": lambda text: "  " + text.replace(" ", "  ") + " ",
    "greeting before": lambda text: f"Oi, bom dia! {text}",
    "please after": lambda text: f"{text.rstrip('?')}, por favor?",
    "short forms": _shortened,
    "two letters swapped": _mistyped,
    "a letter lost": _letter_lost,
    "a letter drawn out": lambda text: text.rstrip("?") + text.rstrip("?")[-1] * 4,
    "all of it": lambda text: without_accents(_shortened(text)).replace("?", "") + " pf",
}
ENGLISH_EDITS = EDITS | {
    "greeting before": lambda text: f"Hi, good morning! {text}",
    "please after": lambda text: f"{text.rstrip('?')}, please?",
    "all of it": lambda text: _shortened(text).replace("?", "") + " pls",
}


def traps() -> Iterator[Pair]:
    """Two fillings of a frame each, within the same words around them."""
    for language, frames in ((PORTUGUESE, PORTUGUESE_FRAMES), (ENGLISH, ENGLISH_FRAMES)):
        for kind, (sentences, fillings) in frames.items():
            distinct = [pair for pair in itertools.combinations(fillings, 2) if not _is_same(*pair)]
            for sentence, (one, other) in itertools.product(sentences, distinct):
                for around in AROUND[language]:
                    asked = (around.format(_capital(sentence.format(filling))) for filling in (one, other))
                    yield Pair(*asked, kind, language)


def reversals() -> Iterator[Pair]:
    """Two things that have changed places."""
    for language, frames in REVERSALS.items():
        for sentence, things in frames:
            for one, other in itertools.combinations(things, 2):
                for around in AROUND[language]:
                    forth, back = sentence.format(one, other), sentence.format(other, one)
                    yield Pair(around.format(_capital(forth)), around.format(_capital(back)), "reversed", language)


def hand_written_traps() -> Iterator[Pair]:
    for one, other, language in HAND_WRITTEN_TRAPS:
        yield Pair(one, other, "hand-written", language)
    for one, other, language in SECOND_SET:
        yield Pair(one, other, "hand-written, 2nd set", language)
    for one, other, language in THIRD_SET:
        yield Pair(one, other, "hand-written, 3rd set", language)


def paraphrases() -> Iterator[Pair]:
    for one, other, language in PARAPHRASES:
        yield Pair(one, other, "paraphrase", language)


def edits() -> Iterator[Pair]:
    for language, changes in ((PORTUGUESE, EDITS), (ENGLISH, ENGLISH_EDITS)):
        for question, (kind, change) in itertools.product(QUESTIONS[language], changes.items()):
            yield Pair(question, change(question), kind, language)


def _is_same(one: str, other: str) -> bool:
    """A place that is only written smaller is the same place."""
    return without_accents(one).casefold().removeprefix("o ").removeprefix("a ") == without_accents(
        other
    ).casefold().removeprefix("o ").removeprefix("a ")


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
