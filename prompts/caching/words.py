"""Words of Portuguese and English that the content gate knows, without accents: data, in one place."""


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


SHORT_FORMS = {
    "vc": "voce", "vcs": "voces", "ce": "voce", "q": "que", "oq": "o que", "pq": "porque", "hj": "hoje",
    "amh": "amanha",    "tb": "tambem", "tbm": "tambem", "n": "nao", "ñ": "nao", "naum": "nao", "nn": "nao", "s": "sim",
    "ss": "sim", "td": "tudo", "tds": "todos", "qto": "quanto", "qnt": "quanto", "qnts": "quantos", "qnd": "quando",
    "qdo": "quando", "qq": "qualquer", "pra": "para", "pro": "para", "pras": "para", "pros": "para", "p": "para",
    "c": "com", "cm": "como", "msm": "mesmo", "obg": "obrigado", "vlw": "valeu", "blz": "beleza", "pf": "por favor",
    "pfv": "por favor", "pfvr": "por favor", "eh": "e", "ta": "esta", "d": "de", "msg": "mensagem", "end": "endereco",
    "dps": "depois", "agr": "agora", "mt": "muito", "mto": "muito", "dnv": "de novo", "tel": "telefone",
    "u": "you", "r": "are", "ur": "your", "pls": "please", "plz": "please", "thx": "thanks", "tmrw": "tomorrow",
}  # fmt: skip

# Said to be polite; nothing is asked by them. Longest first.
COURTESIES = (
    "por gentileza", "por favor", "bom dia", "boa tarde", "boa noite", "tudo bem", "tudo bom", "de nada",
    "good morning", "good afternoon", "good evening", "if you please",
)  # fmt: skip

# Words that a question may have or lack without becoming another one.
FILLERS = _words(
    """o os as um uma uns umas de do da dos das voce voces ai ne viu oi oie ola opa entao obrigado obrigada
    valeu beleza the an of do does please hi hello hey thanks thank it's"""
)

# After a question word they may be left out; elsewhere their place can make a statement a question.
COPULAS = _words("e sao is are")

NEGATIONS = _words(
    """nao nem nunca jamais sem nenhum nenhuma nada ninguem tampouco exceto menos salvo fora not never without none
    nobody nothing neither nor cannot except unless hardly don't doesn't didn't can't won't isn't aren't wasn't couldn't
    shouldn't wouldn't haven't hasn't"""
)
# "no" is Portuguese for "in the": it is a negation in English alone, a word that counts in both.
ENGLISH_NEGATIONS = frozenset({"no"})

ANSWERS = _words(
    """sim claro certo isso exato correto confirmo aceito negativo positivo ok okay yes yeah yep yup nope nah sure
    correct right"""
)

QUESTION_WORDS = _words(
    """que qual quais quando onde quem como quanto quanta quantos quantas porque what which when where who whom whose
    how why"""
)

# How many of the first words are looked at for one that makes a text a question with or without its mark.
QUESTION_OPENING = 3

DATES = _words(
    """segunda terca quarta quinta sexta sabado domingo feira segundas tercas quartas quintas sextas sabados domingos
    janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro hoje amanha ontem anteontem
    semana mes ano dia dias manha tarde noite madrugada meio feriado feriados natal carnaval pascoa agora logo depois
    antes cedo proximo proxima passado passada fim ultimo ultima monday tuesday wednesday thursday friday saturday
    sunday january february march april may june july august september october november december today tomorrow
    yesterday tonight week weekend month year day days morning afternoon evening night noon midnight holiday holidays
    christmas easter now later before after early next last mondays tuesdays wednesdays thursdays fridays saturdays
    sundays"""
)

NUMBER_WORDS = _words(
    """zero dois duas tres quatro cinco seis sete oito nove dez onze doze treze catorze quatorze quinze dezesseis
    dezessete dezoito dezenove vinte trinta quarenta cinquenta sessenta setenta oitenta noventa cem cento duzentos
    duzentas trezentos quatrocentos quinhentos mil milhao milhoes meia duzia dobro metade primeiro primeira segundo
    terceiro terceira one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million half
    double twice once first second third dozen"""
)

# What everybody uses; with the words of the institution's own documents it is the vocabulary in which a text says
# nothing of its own. Names of people and places are not among them.
EVERYDAY = _words(
    """a ao aos com para ate em no na nos nas por pelo pela se ou mas mais muito muita pouco tambem ja ainda so sempre
    aqui ali la isso isto esse essa este esta aquele aquela meu minha meus minhas seu sua seus suas nosso nossa me te
    lhe eu ele ela eles elas nos gente tem tenho temos ter tinha ha faz faco fazem fazer feito pode posso podem podemos
    poderia querem consigo conseguem consegue conseguir quero quer queria gostaria preciso precisa precisamos
    precisam gosto sei
        saber sabem informar informacao informacoes falar falo fala conversar dizer diga explica explicar conta contar
    ajudar ajuda ajudam atende atendem atender atendimento trabalham trabalha trabalhar funciona funcionam
    funcionamento abre abrem abrir fecha fecham fechar horario horarios hora horas endereco localizacao local lugar
    rua bairro cidade estado regiao fica ficam telefone numero contato email site empresa empresas loja cliente
    clientes pessoa pessoas equipe atendente humano servico servicos produto produtos entrega entregas entregam
    entregar coleta coletas coletam coletar pedido pedidos orcamento preco precos valor valores custa custam custo
    pagamento pagar forma formas prazo prazos tempo demora demoram leva levam fazem manda mandar mandam envia enviam
    enviar recebe recebem receber comprar compra vender venda vendem alugar contratar contrato duvida problema sistema
    sistemas sob medida tipo tipos todo todos toda todas tudo algum alguma alguns outro outra outros outras mesmo mesma
    novo nova grande pequeno melhor bem bom boa vai vou vamos vem foi seria sera estou estao estava etc sobre entre
    oferecem oferece existe existem aceita aceitam usa usam usar qualquer cada menos
    to from in on at by for with about into over under between as if then than or and but also still just only always
    here there this that these those my your his her its our their me you he she we they i have has had get got make
    made can could may would should will shall want need like know tell say speak talk ask help work works open opens
    close closes hours hour time times address location place street city area where phone number contact email site
    company store shop customer customers client clients person people human team service services product products
    delivery deliveries deliver delivers pickup pickups order orders quote price prices cost costs payment pay form
    forms term long take takes send sends receive buy sell rent hire contract question problem system systems kind
    kinds type types all some any other another same new big small best better good go going come was were be been am
    offer offers exist accept accepts use every each me much many there's what's"""
)
