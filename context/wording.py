"""Word lists the rules share: numbers in words, ordinary words of a conversation, days, units."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNITS = {
    "zero": 0, "dois": 2, "duas": 2, "tres": 3, "quatro": 4, "cinco": 5, "seis": 6, "sete": 7, "oito": 8, "nove": 9,
    "dez": 10, "onze": 11, "doze": 12, "treze": 13, "catorze": 14, "quatorze": 14, "quinze": 15, "dezesseis": 16,
    "dezessete": 17, "dezoito": 18, "dezenove": 19,
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18,
    "nineteen": 19,
}  # fmt: skip
TENS = {
    "vinte": 20, "trinta": 30, "quarenta": 40, "cinquenta": 50, "cincoenta": 50, "sessenta": 60, "setenta": 70,
    "oitenta": 80, "noventa": 90,
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
HUNDREDS = {
    "cem": 100, "cento": 100, "duzentos": 200, "duzentas": 200, "trezentos": 300, "trezentas": 300,
    "quatrocentos": 400, "quatrocentas": 400, "quinhentos": 500, "quinhentas": 500, "seiscentos": 600,
    "seiscentas": 600, "setecentos": 700, "setecentas": 700, "oitocentos": 800, "oitocentas": 800,
    "novecentos": 900, "novecentas": 900,
}  # fmt: skip
SCALES = {
    "hundred": 100, "mil": 1000, "thousand": 1000, "grand": 1000, "milhao": 10**6, "milhoes": 10**6, "million": 10**6,
}  # fmt: skip
ONES = {"um": 1, "uma": 1, "one": 1}
CROWDS = {
    "duzia": 12, "duzias": 24, "dezenas": 20, "centenas": 200, "milhares": 2000, "dozen": 12, "dozens": 24,
    "hundreds": 200, "thousands": 2000, "millions": 2 * 10**6,
}  # fmt: skip
NUMBER_WORDS = UNITS | TENS | HUNDREDS | SCALES

STOP_WORDS = _words(
    """a o as os um uma uns umas de do da dos das em no na nos nas por pelo pela pelos pelas para pra pro com sem sob
    sobre entre ate e ou mas que se quando como onde qual quais quem cujo este esta estes estas esse essa esses essas
    isso isto aquele aquela ele ela eles elas voce voces vc vcs seu sua seus suas meu minha nosso nossa nossos nossas
    lhe me te nao sim ja ainda so tambem mais menos muito muita muitos muitas pouco bem aqui ai la ali agora depois
    antes ser e eh sao era foi sera seria esta estao estar ter tem tenha tinha ha haver ao aos the an of in on at to
    for from with without and or but if when how where which who this that these those it its they them you your our
    we us i my is are was were be been being do does did have has had not no yes so too also more less very per than
    then there here now as by into out up down about over can could will would should may might shall must only just
    any some each every both all another other am any please around off such via conforme cada toda todo todas todos
    outro outra outros outras mesmo mesma alem dentro fora segundo durante desde
    pois porque assim entao logo nem tudo nada algo alguem ninguem algum alguma alguns algumas"""
)

ORDINARY = _words(
    """oi ola bom boa dia dias tarde noite tudo obrigado obrigada agradeco agradecemos por nada certo claro perfeito
    otimo otima legal beleza ok okay entendi entendo compreendo anotei anotado anotada anoto registrei registrado
    combinado pronto prontinho sim nao talvez qualquer pode posso podemos poderia consigo consegue conseguimos vamos
    vou vai quer quero queria gostaria preciso precisa precisar precisamos precisam ajuda ajudar ajudo ajudamos
    atender atendo falar falo fale fala fique ficamos diga dizer conta contar conte contou passe passar passo
    encaminho encaminhar encaminhei encaminhamos chamar chamo chame envie enviar envio enviei escreva escrever
    responder responde resposta respostas pergunta perguntas duvida duvidas informacao informacoes detalhe detalhes
    assunto assuntos mensagem mensagens conversa conversas pessoa pessoas equipe time atendente atendimento
    responsavel colega alguem humano atencao paciencia prazer bem vindo vinda seja disposicao contato interesse
    necessidade situacao caso casos coisa coisas ideia ponto pontos parte forma formas jeito tipo tipos opcao opcoes
    exemplo exemplos momento instante minuto minutinho pouco vez vezes hoje amanha ontem agora logo breve antes
    depois sempre nunca nome empresa cidade bairro rua numero telefone email mail site link endereco localizacao
    horario horarios proposta propostas orcamento valor valores preco precos condicao condicoes contrato contratos
    cliente clientes produto produtos servico servicos sistema processo trabalho negocio loja escritorio frente
    frentes linha linhas area areas regiao local lugar mapa cartao foto documento documentos texto audio imagem
    arquivo apresentacao pdf ajudas problema problemas erro solucao solucoes melhor maior menor novo nova primeiro
    primeira segundo segunda terceiro ultimo ultima proximo proxima seguinte seguintes geral principal principais
    diferente diferentes possivel disponivel importante simples rapido rapida direto direta diretamente juntos junto
    lamento desculpe desculpa sinto infelizmente felizmente ah opa e ai alo senhor senhora sr sra dr dra dona ate
    abraco abracos atenciosamente cumprimentos pena jeito sentido forma realmente apenas somente acesse confira veja
    olha olhe escolha selecione toque clique abaixo acima saber entender explicar explico explica mostrar mostro
    verificar verifico verifica conferir confere confirmar confirme analise analisar avaliar avalia recebe receber
    recebi recebemos continuar continua comecar comeca terminar voltar volta volte menu inicio opcoes ver mais sobre
    brasil whatsapp internet portugues ingles ti rh obs ps faq id cep cpf cnpj lgpd sms pdf ok
    hi hello hey good morning afternoon evening thanks thank welcome sure course right great perfect lovely sorry
    glad happy understand understood got noted let know tell ask answer help helping helped question questions team
    front desk someone person people message messages reply write wrote call ring contact name number phone website
    address location map time times hour hours day days today tomorrow yesterday week weeks open closed see send
    sending sent pass passing passed check look looking happen happened start begin end next first second last new
    more details information example option options kind sort thing things way need needs want like would could
    appointment appointments visit visits fee fees treatment plan plans patient patients clinic care dentist doctor
    mr mrs ms dr uk english internet faq pdf ok gp i'm i'll i've we're we'll we've it's that's there's don't can't
    take care meanwhile unfortunately however absolutely certainly indeed apologies dear regards best bye goodbye
    janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro jan fev mar abr mai jun
    jul ago set out nov dez domingo domingos segunda terca quarta quinta sexta sabado sabados feira feiras feriado
    feriados segundas tercas quartas quintas sextas seg ter qua qui sex sab dom
    january february march april may june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays sundays mon tue tues wed
    thu thur thurs fri sat sun postcode ddd ciclo ciclos closes opens starts ends shuts fixo av
    avenida rua sala predio celular whenever wherever whichever including incluindo"""
)

# What may be counted in small numbers without stating anything.
TALK = _words(
    """pergunta opcao caso coisa frase palavra informacao dado ponto detalhe passo forma lado linha assunto mensagem
    item duvida resposta jeito motivo parte possibilidade caminho exemplo question option case thing word sentence
    point detail step way side line message item answer reason part possibility example topic minutinho momento
    instante moment"""
)

# Words of the documents' language by their English names: a reply in English states the same facts.
TRANSLATED = {
    "office": "escritorio", "offices": "escritorio", "suite": "sala", "room": "sala", "city": "cidade",
    "cities": "cidade", "area": "frente", "areas": "frente", "module": "modulo", "modules": "modulo",
    "delivery": "entrega", "deliveries": "entrega", "deliver": "entrega", "motorbike": "moto", "motorbikes": "moto",
    "van": "utilitario", "vans": "utilitario", "session": "encontro", "sessions": "encontro", "parcel": "encomenda",
    "parcels": "encomenda", "technician": "tecnico", "technicians": "tecnico", "company": "empresa",
    "companies": "empresa", "system": "sistema", "systems": "sistema", "app": "aplicativo", "apps": "aplicativo",
    "computers": "computador", "printers": "impressora", "networks": "rede", "cameras": "camera",
}  # fmt: skip

# Names people write without a capital; each of them needs support in the documents like any other name.
BRANDS = _words(
    """ifood rappi uber ubereats loggi lalamove correios sedex jadlog fedex dhl ups mercadolivre shopee amazon
    aliexpress shein magalu americanas ebay salesforce hubspot pipedrive zendesk zoho totvs sap oracle bling 
    omie nuvemshop shopify vtex woocommerce wordpress wix google microsoft excel 
    telegram instagram facebook messenger tiktok youtube linkedin twitter pinterest 
    alexa siri apple iphone ipad samsung xiaomi motorola dell lenovo epson canon intelbras hikvision cisco
    tplink mercadopago pagseguro picpay paypal nubank itau bradesco santander mastercard bitcoin
    asaas iugu invisalign colgate listerine botox bupa denplan tesco vodafone netflix spotify airbnb 
    latam starlink"""
)
