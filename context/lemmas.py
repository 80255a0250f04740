"""Verbs and nouns of commerce with all their forms, in flat spelling, and the classes that sentence patterns name.

A verb is written once, as its infinitive; its forms are made here. So a rule is about what is said to have happened,
not about the one form somebody thought of.
"""

from collections.abc import Iterable

from context.wording import TENS


def split_words(text: str) -> frozenset[str]:
    """The words of a list written with blanks between them."""
    return frozenset(text.split())


_split = split_words


_PERSONS = {
    "ar": {
        "present": ("o", "a", "amos", "am"),
        "past": ("ei", "ou", "amos", "aram"),
        "future": ("arei", "ara", "aremos", "arao"),
        "participle": ("ado", "ada", "ados", "adas", "adinho", "adinha", "adissimo", "adissima"),
        "gerund": ("ando",),
    },
    "er": {
        "present": ("o", "e", "emos", "em"),
        "past": ("i", "eu", "emos", "eram"),
        "future": ("erei", "era", "eremos", "erao"),
        "participle": ("ido", "ida", "idos", "idas"),
        "gerund": ("endo",),
    },
    "ir": {
        "present": ("o", "e", "imos", "em"),
        "past": ("i", "iu", "imos", "iram"),
        "future": ("irei", "ira", "iremos", "irao"),
        "participle": ("ido", "ida", "idos", "idas"),
        "gerund": ("indo",),
    },
}
_SOFT = {"c": "qu", "g": "gu"}  # ficar, fiquei; pagar, paguei


def portuguese(infinitives: Iterable[str], *tenses: str, first_person: bool = False) -> frozenset[str]:
    """The forms of regular verbs in some tenses, without accents; with `first_person` only those of "eu" and "nós"."""
    forms = set()
    for infinitive in infinitives:
        stem, kind = infinitive[:-2], infinitive[-2:]
        for tense in tenses:
            endings = _PERSONS[kind][tense]
            for ending in endings[::2] if first_person else endings:
                soft = kind == "ar" and ending[0] == "e" and stem[-1] in _SOFT
                forms.add((stem[:-1] + _SOFT[stem[-1]] if soft else stem) + ending)
    return frozenset(forms)


_NO_DOUBLE = ("w", "x", "y", "h")


def _past(verb: str) -> str:
    if verb.endswith("e"):
        return f"{verb}d"
    if verb.endswith("y") and verb[-2] not in "aeo":
        return f"{verb[:-1]}ied"
    if verb[-1] in "pgtdnb" and verb[-2] in "aiou" and verb[-3] not in "aeou" and len(verb) < 6:
        return f"{verb}{verb[-1]}ed"
    return f"{verb}ed"


# What one does to a contract, an order, a booking, a payment, an account, a visit or a parcel.
_TRANSACT = _split(
    """fechar confirmar assinar aprovar efetuar efetivar concluir ativar aceitar agendar marcar reservar realizar
    contratar processar finalizar selar firmar garantir liberar cancelar programar gerar emitir encomendar cadastrar
    remarcar reagendar desmarcar combinar acertar acordar despachar enviar alterar mudar trocar adiar antecipar
    reembolsar estornar debitar creditar cobrar faturar quitar compensar formalizar oficializar validar autorizar
    registrar inscrever matricular renovar rescindir encerrar encaixar separar bloquear segurar guardar incluir
    adicionar colocar botar lancar designar acionar escalar alocar provisionar criar preparar arranjar ajeitar
    organizar decidir resolver iniciar comecar coletar entregar retirar buscar receber providenciar pactuar
    homologar pagar deferir atender corrigir garantir firmar assegurar habilitar migrar vender comprar assumir
    aderir concretizar consolidar sacramentar bater travar identificar localizar"""
)
_TRANSACT_ODD = _split(
    """feito feita feitos feitas feitinho aceito aceita aceitos pago paga pagos aberto aberta entregue entregues
    posto posta pronto pronta prontinho ativo ativa vigente valendo ok sucesso certo certinho vigor"""
)
# Everything that says so of oneself in the past, but is only about the conversation.
_TALKING = _split(
    """anotei registrei passei encaminhei avisei chamei perguntei expliquei falei enviei mandei informei errei sei
    fiquei deixei gostei achei pensei encontrei lei rei comentei mencionei direi passarei encaminharei avisarei
    chamarei ficarei responderei perguntarei verificarei checarei notei comuniquei reportei repassei direcionei
    transferi compartilhei copiei contei escrevi entendi recebi li vi ouvi percebi esqueci pedi hei sinalizei"""
)
FIRST_PAST = (
    portuguese(_TRANSACT, "past", first_person=True)
    | portuguese(_split("pedir abrir inserir conseguir transferir inscrever"), "past", first_person=True)
    | _split("fiz pus fizemos pusemos dei demos")
) - _split(
    """recebi recebemos atendi combinamos entregamos atendemos retiramos registrei enviamos coletamos buscamos inclui
    comecamos iniciamos"""
)
FIRST_PAST_SURE = frozenset(word for word in FIRST_PAST if word.endswith(("ei", "i")) or word in ("fiz", "pus")) - (
    _TALKING | _split("conclui comecei sai pedi dei resolvi consegui decidi transferi recebi abri inclui")
)

_ENGLISH = _split(
    """book confirm schedule reserve place sign arrange secure activate approve process finalise finalize seal accept
    complete cancel reschedule register receive set lock agree settle enrol enroll dispatch ship move change swap
    slot squeeze pencil pop put get sort hold save make do upgrade renew issue charge refund credit pay buy purchase
    deliver drop collect grant authorise authorize validate create open close conclude execute rebook bring add
    provision fix order request assign allocate waive apply extend deduct"""
)
_ENGLISH_ODD = {
    "set": "set", "put": "put", "get": "got", "hold": "held", "make": "made", "do": "done", "pay": "paid",
    "buy": "bought", "bring": "brought", "cancel": "cancelled", "agree": "agreed", "sign": "signed", "open": "opened",
    "drop": "dropped", "ship": "shipped", "slot": "slotted", "pop": "popped", "enrol": "enrolled",
}  # fmt: skip
DONE_EN = frozenset(_ENGLISH_ODD.get(verb, _past(verb)) for verb in _ENGLISH) | _split(
    """sold booked complete canceled scheduled sorted secured live active successful official ready good upgraded taken
    won"""
)
_DONE_EN_SURE = DONE_EN - _split(
    """made done got put opened closed received changed moved taken set added brought ready good live active fixed
    requested ordered created collected charged paid placed saved completed processed official issued held settled
    applied accepted extended agreed signed"""
)

CLASSES: dict[str, frozenset[str]] = {
    # --- Portuguese
    "possessive": _split("seu sua seus suas teu tua teus tuas vosso vossa"),
    "matter": _split(
        """negocio contrato acordo pedido proposta venda compra reserva visita agendamento consulta plano assinatura
        coleta entrega demonstracao demo pagamento contratacao servico projeto cadastro vaga horario inscricao
        matricula adesao instalacao rota parceria orcamento conta acesso boleto fatura nota encomenda pacote
        cancelamento remarcacao reembolso estorno devolucao troca solicitacao ordem chamado licenca usuario modulo
        implantacao treinamento comprovante pix boletos protocolo convite reuniao upgrade upgrades carreto frete
        documento minuta documentacao ingresso lugar posicao mudanca retirada envio remessa tudo cobranca oferta
        contraproposta sinal desistencia renovacao transacao operacao_financeira agenda"""
    ),
    "done": (portuguese(_TRANSACT, "participle") | _TRANSACT_ODD)
    - _split(
        """preparado preparada atendido atendida pronto pronta certo paga entregue incluido incluida mudado enviada
        recebida recebido organizado organizada comecado separado separada guardado guardada"""
    ),
    "agreed": portuguese(
        _split(
            """fechar confirmar assinar aprovar efetuar efetivar ativar agendar marcar reservar contratar selar garantir
            liberar cancelar programar remarcar reagendar desmarcar combinar acertar acordar despachar formalizar
            oficializar validar autorizar quitar arranjar encaixar finalizar homologar decidir designar acionar
            sacramentar concretizar topar"""
        ),
        "participle",
    )
    | _split("aceito aceita")
    | _split("fechadissimo combinadissimo agendadissimo prontissimo preagendado prereservado"),
    "happened": _split("foi foram esta ta tao estao ficou ficaram fica ja acaba acabou acabei sendo sera serao estara"),
    "ok": _split("ok feito feita certo certinho pronto pronta valendo valido valida vigor vigente ativo ativa pe dia"),
    "did": FIRST_PAST,
    "did_sure": FIRST_PAST_SURE,
    "i_do": _split(
        """confirmo agendo reservo fecho assino aprovo efetuo efetivo libero cancelo emito remarco reagendo encaixo
        despacho autorizo formalizo valido finalizo concluo providencio programo estorno reembolso quito"""
    ),
    "we_do": portuguese(_TRANSACT, "present", first_person=True),
    "they_did": portuguese(_TRANSACT - _split("receber atender"), "past") - FIRST_PAST,
    "do_inf": _split(
        """confirmar agendar marcar reservar fechar contratar emitir gerar assinar ativar cancelar remarcar reembolsar
        estornar debitar liberar encaixar despachar formalizar efetivar finalizar aprovar autorizar reagendar"""
    ),
    "doing": portuguese(_TRANSACT, "gerund") | _split("indo chegando saindo passando levando trazendo"),
    "going": _split("vou vamos irei iremos estou estamos vo"),
    "accept": _split("aceito aceitamos topo topamos concordo concordamos fechamos fecho topado topada feitoria"),
    "worker": _split(
        """tecnico tecnica motoboy entregador motorista moco rapaz equipe_de_campo mensageiro coletor instalador
        tecnicos entregadores caminhao van utilitario motoqueiro carro moto"""
    ),
    "moves": _split(
        """vai vem chega passa sai saiu esta ta foi estara chegara passara ira indo vindo saindo chegando sera virao
        vao ja"""
    ),
    "we_move": _split(
        """passamos vamos buscamos coletamos iremos passo vou busco coleto mando mandamos estaremos estarei chegamos
        chego passaremos buscaremos coletaremos mandaremos instalamos retiramos levamos esperamos espero aguardamos
        comecamos iniciamos mandei enviei estou despacho"""
    ),
    "soon": _split(
        """hoje amanha agora logo segunda terca quarta quinta sexta sabado domingo semana mes cedo tarde ja instantes
        caminho rua segunda-feira monday tuesday wednesday thursday friday saturday sunday tomorrow today tonight"""
    ),
    "day": _split(
        """hoje amanha segunda terca quarta quinta sexta sabado domingo monday tuesday wednesday thursday friday
        saturday sunday tomorrow today tonight"""
    ),
    "your_place": _split("ai voce voces vc te ti contigo"),
    "so": _split("entao certo ficamos fica ficou combinado fechado ate vejo espero beleza ok perfeito otimo bora"),
    "price_noun": _split(
        """preco precos valor valores mensalidade mensalidades taxa taxas custo custos tarifa tarifas orcamento frete
        condicao condicoes precinho pagamento parcela fatura price prices fee fees rate rates cost costs figure
        quote terms"""
    ),
    "haggle": portuguese(
        _split(
            """melhorar reduzir diminuir baixar abaixar abater igualar cobrir rever flexibilizar ajustar negociar
            facilitar adequar renegociar cortar tirar isentar descontar compensar chorar segurar"""
        ),
        "present",
        "future",
        "gerund",
    )
    | _split(
        """melhorar reduzir diminuir baixar abaixar abater igualar cobrir rever flexibilizar ajustar negociar facilitar
        tirar isentar descontar chorar segurar encontrar cubro revejo reveem melhor menor especial especiais bom boa
        bacana camarada camaradinha camaradas amigo amiga promocional promocionais negociavel flexivel diferenciado
        diferenciada imperdivel unico facilitado exclusivo exclusiva reduzido reduzida inferior cai caiu caber caiba
        igualo bolso margem justo justa
        better lower reduce beat match improve special negotiable flexible flexibility promotional reduction bargain
        cut drop bring reduced cheaper discounted sharpen meet undercut work best"""
    ),
    "bargain": _split(
        """desconto descontos descontinho descontao abatimento abatimentos promocao promocoes promo cupom cupons
        voucher vouchers brinde brindes mimo mimos bonus bonificado bonificada bonificacao contraproposta contraoferta
        barganha pechincha agrado agradinho lambuja chorinho meio-termo oferta ofertas ofertao superoferta condicaozinha
        discount discounts coupon promotion promo freebie bonus haggle
        negociamos negocio_valores parcelamos parcelo parcelar parcelado parcelamento parcelas prestacoes carencia
        instalments installments wiggle"""
    ),
    "cheap": _split(
        """barato barata baratos baratas baratinho baratinha baratissimo economico econômico cheap cheaper cheapest
        cheapo bargain affordable economiza economizar economize economizaria economia poupa poupar inexpensive
        acessivel acessiveis pechincha mixaria ninharia"""
    ),
    "slang_money": _split(
        """barao baroes garoupa garoupas galo onca oncas lobo-guara arara araras mico-leao tartaruga peixe merreca
        vintao vintinho trintao trintinha quarentao quarentinha cinquentao cinquentinha sessentao sessentinha setentao
        setentinha oitentao oitentinha noventao noventinha cenzao cenzinho duzentinho duzentao trezentao quinhentao
        milao milzinho dezao dezinho quinzinho quinzao vintinhos contos conto pilas pila mangos mango pratas merreis
        nicker smackers smackeroos benjamins benjamin shekels clams simoleons moolah tenners fivers quid bob
        fortyish fiftyish sixtyish thirtyish fiddy
        salario salarios cedula cedulas cifra cifras notinha notinhas reaizinhos reau reaus"""
    )
    | frozenset(word[:-1] + ending for word in TENS if word.endswith("a") for ending in ("inha", "inho", "ao", "ona")),
    "size": _split("digitos algarismos digits figures cifras centenas milhares dezenas hundreds thousands"),
    "size_lead": _split(
        """dois duas tres quatro cinco seis two three four five six low high mid casa alguns poucas few baixos altos 2
        3 4 5 6"""
    ),
    "free": _split(
        """gratis gratuito gratuita gratuitos gratuitas gratuitamente gratuidade cortesia cashback complimentary gratis
        isento isenta isentos isentas isencao bonificado zerado zerada zeradinho free_of_charge"""
    ),
    "charged": portuguese(_split("cobrar pagar tarifar faturar"), "present", "future", "participle")
    | _split("cobrar pagar pague paguei pagava cobranca cobrancas custo custos taxa taxas pagamento paga pagas")
    | _split("charge charged charges pay paying fee fees cost costs payment"),
    "not": _split("nao nem nunca sem nenhum nenhuma zero zera no not never nothing without won t don"),
    "compare": _split("inferior inferiores abaixo menos menor metade terco dobro equivale equivalente lower less"),
    "compared": _split(
        """concorrencia concorrente concorrentes outro outros mercado gasta paga pagava gastar pizza pizzas cafe
        cafezinho almoco jantar tanque cinema uber salario lanche coffee dinner lunch takeaway phone netflix pint"""
    ),
    "pay_means": _split(
        "pix boleto cartao cartoes cheque transferencia dinheiro debito credito visa mastercard cash cards paypal amex"
    ),
    "pay_verb": portuguese(
        _split("aceitar pagar parcelar dividir depositar transferir quitar receber"), "present", "past", "future"
    )
    | _split("pagar pague parcelar dividir deposita deposite transfira recebo")
    | _split("accept accepts take takes pay paying paid split chave manda passa vale pode"),
    "promise": portuguese(
        _split(
            """garantir assegurar prometer jurar comprometer responsabilizar apostar certificar indenizar ressarcir
            reembolsar afiancar"""
        ),
        "present",
        "future",
    )
    | _split(
        "asseguro garanto responsabilizo responsabilizamos guarantee guarantees guaranteed promise promised assure"
    )
    | _split("garantido garantida garantidos garantidas garantia garantias vitalicia swear pledge refund warranty"),
    "sure": _split(
        """certeza duvida duvidas tranquilo tranquila sossegado sossegada tranquilos confiar apostar despreocupado
        definitely certainly surely undoubtedly assured"""
    ),
    "delivers": portuguese(
        _split("chegar entregar resolver consertar retornar ligar responder passar buscar coletar funcionar terminar"),
        "present",
        "future",
    )
    | _split(
        """sai saira fica ficara estara vai vao vem pronto pronta resolvido resolvida feita entregue chega ligam liga
        ligar responder retorno retornar resposta ligacao previsao prazo terminado"""
    ),
    "shortly": _split(
        """rapidinho instantes instante jaja minutinho minutos minuto segundos breve horinha
        shortly moments"""
    ),
    "never_fails": portuguese(
        _split("falhar atrasar quebrar cair doer errar demorar decepcionar travar parar"), "present", "past", "future"
    )
    | _split("sai erro falha falhas atraso atrasos dor pain fails fail hurt hurts breaks late"),
    "better_off": _split("aumenta aumentar aumentam dobrar dobra triplicar crescer cresce recuperar recupera lucrar"),
    # --- English
    "ours": _split("i we"),
    "have": _split("ve have just already had ll"),
    "your": _split("your you yours yourself"),
    "thing_en": _split(
        """booking appointment order contract deal reservation visit payment plan slot place agreement subscription
        delivery demo account consultation spot seat registration checkup check treatment purchase deposit membership
        refund request application claim form paperwork parcel package invite invoice cancellation enrollment enrolment
        transaction offer terms everything it that chair time quote bookings signature card direct referral ticket
        driver courier all this booking_code paperwork date"""
    ),
    "is_en": _split("is are s re has have been was were got gets be being now stands"),
    "done_en": DONE_EN,
    "done_en_sure": _DONE_EN_SURE,
    "worker_en": _split("courier driver technician engineer van doctor dentist hygienist rider dr orthodontist team"),
    "comes_en": _split("arriving coming way ready waiting expecting there see expect heading round"),
    "at_en": _split("at on for in"),
}
EXCUSED = {
    "denial": _split(
        """nao nem nunca nada nenhum nenhuma ninguem sem jamais not never nothing cannot
        unable unfortunately infelizmente impossivel without no nor none t"""
    ),
    "reassurance": _split(
        """preocupe preocupa precisa duvida problema problemas falta erro esquece esqueca worry need doubt problem
        worries demora enrolacao custo taxa risco chance pain tem_como falha letras"""
    ),
    "other": _split(
        """equipe pessoa alguem comercial operacao coordenacao time humano atendente colega desk reception team someone
        somebody colleague dentist staff"""
    ),
    "through": _split("por pela pelo com by with quem cabe assunto da tratado tratada tratados"),
    "house": _split(
        """escritorio atendimento loja clinica clinic office domingo domingos feriado feriados sabado sabados weekends
        holidays sundays abre abrimos almoco gente_fecha"""
    ),
    "condition": _split("se quando caso if once when until unless whether apos depois after before antes para to"),
}
