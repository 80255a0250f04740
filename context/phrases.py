"""What may never be said, recognised by its wording alone: prices, closings, negotiation, promises, parts of a prompt.

Every pattern runs on flat text (see `normalize.flat`) and has a bounded reach, so that no text can make it slow.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from context.alternatives import sharing
from context.figures import NUMBER_WORD
from context.normalize import squeezed, with_letters_joined, without_disguise
from contracts.guardrails import Finding, Rule

EXCERPT = 80
_GAP = r"[^.!?;\n]"
# "e hoje temos": how things are, not when they will happen.
_AS_OF_TODAY = r"(?! (?:tambem |ja )?(?:temos|somos|sao|atuamos|trabalhamos|fazemos|atendemos|contamos|oferecemos)\b)"

# --- Price -----------------------------------------------------------------------------------------------------------

_NUM = rf"(?:(?<!\d)\d[\d.,]{{0,20}}(?: ?(?:mil|k|milhao|milhoes|thousand|grand|hundred)\b)?|{NUMBER_WORD}\b)"
_MONEY = (
    r"(?:reais|reales|real|brl|rs|pilas?|contos?|mangos?|pratas|paus|dolar(?:es)?|usd|us|euros?|eur|libras?|gbp"
    r"|pounds?"
    r"|quid|bucks?|dollars?|cents?|centavos?|pence|grand|fiver|tenner|dinheiros|merreis|moedas?|reaus|reals"
    r"|realzinhos?)"
)
_CONNECT = (
    r"(?:[ :=~(-]|em|por|de|a|uns|umas|cerca|so|apenas|somente|e|eh|sao|seria|seriam|aproximadamente|mais ou menos"
    r"|quase"
    r"|ate|entre|partir|media|torno|faixa|na|casa|dos|das|r|no total|total|the|is|at|about|around|roughly|only"
    r"|just|from"
    r"|per|be|will|would|under|over|like|all in|up to|of|for|s|are|starts?|starting|between|mere|you|voce|vc|te"
    r"|lhe){0,11}?"
)
_SAYS_PRICE = (
    r"(?:custa|custam|custo|custos|custaria|custou|custava|sai|saem|sairia|saindo|fica|ficam|ficaria|ficou|ficando"
    r"|da|dao"
    r"|valor|valores|preco|precos|precinho|taxa|taxas|tarifa|tarifas|frete|mensalidade|mensalidades|anuidade"
    r"|assinatura"
    r"|parcela|parcelas|prestacao|prestacoes|cobramos|cobra|cobram|cobrado|cobrada|cobrando|cobraria|pague|pagar|paga"
    r"|pagando|pagaria|pagam|pago|investimento|investe|orcamento|orcado|desembolsa|gasta|gastar|gasto|vale|valendo"
    r"|apenas"
    r"|somente|a partir de|partindo de|entrada de|sinal de|cota|diaria|hora tecnica|adicional|total|fechar em|faco"
    r"|fazemos|faz|deixo|deixamos|consigo|pix|boleto|transferencia|costs?|costing|price|prices|priced|pricing|fee"
    r"|fees"
    r"|rate|rates|charge|charges|charged|pay|pays|paying|payable|paid|worth|deposit|invoice|quote|quoted|budget|total"
    r"|starting at|starts at|as little as|as low as|only|just|for a mere|comes to|come to|came to|set you back"
    r"|save|saves"
    r"|cash|figure|sum|amount|bill|its|it s|it is|thats|that s|that is|sao|e|eh|seria|daria|cada um sai|only comes)"
)
_PER = (
    r"(?:por|per|a cada|cada|/|each|apiece|ao|a|an|na|no|pela|pelo) ?(?:mes|mensal|mensais|entrega|km|quilometro|hora"
    r"|usuario|visita|month|user|hour|week|visit|delivery|year|seat|session|person|pessoa|ano|semana|dia|day|viagem"
    r"|corrida|coleta|unidade|licenca|cabeca|tooth|dente|head|pop|mo|mth|diaria|consulta|appointment)"
)
_FREE = (
    r"gratis|gratuit[oa]s?|gratuitamente|gratuidade|de graca|na faixa|sem (?:nenhum )?custo|sem custos|sem cobranca"
    r"|sem pagar|sem taxas?|sem mensalidade|sem frete|custo zero|zero custo|taxa zero|frete zero|zero reais"
    r"|isent[oa]s?"
    r"|isencao|cortesia|0800|por nossa conta|por conta da casa|nao (?:custa|cobramos|cobra|paga|pagam) (?:nada"
    r"|taxa|frete)"
    r"|nao (?:tem|ha) (?:custo|cobranca|taxa)\w*|nao sai nada|cashback|brinde|free of (?:charge|cost)|for free"
    r"|no charge"
    r"|(?:at )?no cost|zero cost|no (?:extra|additional|upfront|hidden) (?:cost|charge|fee)s?|without charge"
    r"|complimentary"
    r"|nao (?:se |te |lhe |vamos |iremos )?(?:cobra\w*|paga|pagam|pagara)\b|nada a pagar|banc(?:a|amos|o) o"
    r"|metade (?:agora|na|no|antes|depois|adiantad\w|a vista|do valor)|no fees?\b|(?:costs?|costing) (?:less|more"
    r"|about|under|almost)"
    r"|pay(?:s|ing)? nothing|nothing to pay|nothing extra|(?:visita|consulta|entrega|demo|demonstracao|mes|teste"
    r"|instalacao|setup|frete|coleta) free"
    r"|custa\w* (?:menos|pouco|barato|quase|nada|o mesmo|o preco|uma mixaria)"
    r"|on the house|on us\b|costs? (?:you )?nothing|freebie"
    r"|free (?:delivery|trial|quote|consultation|month|shipping|visit|scan|check|whitening|appointment|cleaning"
    r"|estimate"
    r"|demo|setup|session|x-rays?|retainers?|first|examination|polish)\w*"
    r"|(?:is|are|its|it s|completely|totally|absolutely|entirely|be|comes|come|get it|yours) free(?! (?:to|on|at"
    r"|every|between))"
    r"|free(?=[.!]| for (?:new|you|the first|kids|children|all|everyone))(?<!feel free)"
)
_LESS = (
    r"(?:desconto|descontos|off|abatimento|taxa|juros|cashback|comissao|discount|fee|interest|cheaper|less|menos"
    r"|sobre"
    r"|a vista|reduction|saving|commission|deposit|entrada|sinal|reajuste|multa|acrescimo|markup|vat|barato|economia)"
)

# Each of these has a digit, a number in words or a sign of money in it.
_PRICE_WITH_NUMBER = (
    r"\$",
    rf"{_NUM}\W{{0,5}}(?:e meio |e pouco |and a half )?(?:de )?{_MONEY}\b",
    rf"\b(?:brl|reais|usd|eur|gbp|rs|euros|dolares|r\$) ?[:.]? ?{_NUM}",
    rf"\b{_SAYS_PRICE}\b{_CONNECT}\b{_NUM}(?!\w)",
    r"\b(?:valor|valores|preco|precos|custo|mensalidade|frete|taxa|tarifa|price|cost|fee|charge"
    rf"|rate)\b{_GAP}{{0,40}}?(?<![\w,]){_NUM}(?!\w)",
    rf"(?<![\w,.]){_NUM} ?(?:{_PER})\b",
    rf"(?<![\w,.]){_NUM} (?:mensais|mensal|por cabeca|anuais|monthly|yearly|weekly|a month|a year|a week|a pop"
    r"|an hour|all in|tops|redondo|redondinho|certinho|no pix|no boleto|no cartao|a vista|em dinheiro|cash)\b",
    rf"(?:(?<!\d)\d{{1,9}}(?:[.,]\d{{1,4}})?|\b{NUMBER_WORD}) ?(?:%|por cento|porcento"
    rf"|per ?cent){_GAP}{{0,30}}\b{_LESS}\b",
    rf"\b{_LESS}\b{_GAP}{{0,30}}?(?:(?<!\d)\d{{1,9}}(?:[.,]\d{{1,4}})?|\b{NUMBER_WORD}) ?(?:%|por cento|porcento"
    r"|per ?cent)",
    rf"\b(?:\d{{1,2}}|{NUMBER_WORD}) ?(?:x|vezes|parcelas|prestacoes|mensalidades|instal?lments|payments"
    r"|monthly payments)\b(?! ?(?:\d|por|ao|na|a) ?(?:semana|dia|mes|ano)?\d?\b)",
    rf"\b(?:\d{{1,2}}|{NUMBER_WORD}) ?(?:x|vezes|parcelas) (?:de|sem juros|iguais|com juros)\b",
    r"\b\d{1,9}(?:[.,]\d{1,4})? ?k\b|\b\d{1,9}[.,]\d{1,4} ?mil\b",
    r"(?<![\w.,-])\d{1,3}(?:[. ]\d{3})*,\d{2}(?![\d,%]| ?(?:kg|cm|m|km|g|metros?|quilos?)\b)"
    r"|(?<![\w.,-])\d{1,3}(?:,\d{3})*\.\d{2}(?![\d.%]| ?(?:kg|cm|m|km|g|am|pm|metres?)\b)",
    rf"\b(?:between|entre|de|from) {_NUM} (?:and|e|a|to) {_NUM}(?= ?(?:[.!?\n]|$|dependendo|depending|conforme|por"
    r"|per))",
)
_PRICE_IN_WORDS = (
    r"\b(?:um|uma|meio|meia|one|a|half a|couple of|few|alguns|poucos|uns) (?:pila|conto|mango|dolar|dollar|buck"
    r"|quid|grand"
    r"|fiver|tenner|milhao|contos|mangos|pilas|bucks|trocados|dinheiros|centavos?)\b",
    rf"\b(?:{_FREE})",
    r"\b(?:metade do preco|half price|half the price|preco de custo|at cost price|troco de|preco de banana"
    r"|dirt cheap|baratinho|bem barato|super barato|menor preco|melhor preco|best price|lowest price|cheapest"
    r"|mais barato do|mais em conta|promocao de|valor simbolico|precinho|sem juros|interest[ -]free)\b",
    r"\b(?:uma nota de|cinquentinha|cinquentao|vintao|cenzinho|cem pratas|cinquenta pratas|dezinho|vintinho"
    r"|trintinha|quarentinha|milzinho|quinhentao|duzentao|onca|peixe de)\b",
)

# --- Closing ---------------------------------------------------------------------------------------------------------

_AGREED_THING = (
    r"(?:negocio|contrato|acordo|pedido|proposta|venda|compra|reserva|visita|agendamento|consulta|plano|assinatura"
    r"|coleta"
    r"|entrega|demonstracao|demo|pagamento|contratacao|servico|projeto|cadastro|vaga|horario|inscricao|matricula"
    r"|adesao"
    r"|instalacao|rota|parceria|orcamento|conta|acesso)"
)
_DONE = (
    r"(?:fechad[oa]s?|confirmad[oa]s?|assinad[oa]s?|aprovad[oa]s?|efetuad[oa]s?|concluid[oa]s?|ativad[oa]s?"
    r"|ativ[oa]s?"
    r"|aceit[oa]s?|agendad[oa]s?|marcad[oa]s?|reservad[oa]s?|realizad[oa]s?|contratad[oa]s?|processad[oa]s?"
    r"|finalizad[oa]s?"
    r"|selad[oa]s?|firmad[oa]s?|garantid[oa]s?|liberad[oa]s?|recebid[oa]s?|pag[oa]s?|cancelad[oa]s?|programad[oa]s?"
    r"|registrad[oa]s?|gerad[oa]s?|emitid[oa]s?|encomendad[oa]s?|cadastrad[oa]s?|remarcad[oa]s?)"
)
_BY_A_PERSON = (
    r"(?! (?:por (?:uma|alguem)|pel[ao]s?|com (?:uma|a|nossa) |diretamente|somente|apenas|so|depois|apos|quando"
    r"|se) ?)"
)
_BOOKED = (
    r"(?:booked|confirmed|scheduled|reserved|placed|signed|arranged|secured|activated|approved|processed|finalised"
    r"|finalized|sealed|accepted|completed|cancelled|canceled|rescheduled|registered|paid|received|complete"
    r"|went through|gone through|set up|locked in|agreed)"
)
_BOOKABLE = (
    r"(?:booking|appointment|order|contract|deal|reservation|visit|payment|plan|slot|place|agreement|subscription"
    r"|delivery|demo|account|consultation|spot|seat|registration|check-?up|treatment|purchase|deposit)s?"
)
_CLOSING = (
    rf"\b(?:{_AGREED_THING})\b(?: \w+){{0,4}}? {_DONE}\b{_BY_A_PERSON}",
    rf"\b{_DONE} (?:o |a |seu |sua |o seu |a sua |com sucesso )?{_AGREED_THING}\b",
    rf"\b{_AGREED_THING}(?: (?:seu|sua|ja|esta|ta|foi|ficou|agora|tudo|de manutencao|do crm"
    rf"|com voce)){{0,4}} (?:ok|feit[oa]|valendo|vigente|em vigor|de pe|na agenda|no sistema|entrou|rodando"
    r"|em andamento|a caminho)\b",
    r"\bja (?:esta|ta|ficou|entrou|consta)(?: \w+)? (?:na|no|em) (?:agenda|sistema|rota|fila|contrato)\b"
    r"|\b(?:inclui|coloquei|pus|botei|adicionei) voce\b",
    r"(?<!se )(?<!se voce )\b(?:ja|agora) (?:voce )?e (?:um |uma |nosso |nossa )?(?:cliente|assinante"
    r"|parceir[oa])\b(?![^.!\n]{0,60}\?)",
    r"\b(?:a gente se ve|batido o martelo|martelo batido|bati o martelo|pode comemorar|missao dada)\b",
    r"\b(?:in the (?:diary|book|calendar|schedule)|signed and done|done thing|agreed then|on its way)\b"
    r"|\bi have you (?:in|down)\b",
    rf"\b{_AGREED_THING} (?:ficou|fica|esta|ja esta|foi|vai ser|sera) (?:para|pra|as|na agenda|em|no dia|amanha"
    r"|hoje)\b",
    rf"\b(?:{_BOOKABLE}) (?:has|have) been made\b|\bpront[oa]s? para assin\w+",
    r"\bdeixei (?:\w+ ){0,3}?(?:reservad|marcad|agendad|separad|combinad|acertad|confirmad|fechad)[oa]s?\b",
    r"\b(?:esta|ta|tudo|ficou|fica|ja|entao|foi|considere|considera|dou por|damos por"
    r"|pode considerar)(?: \w+){0,2}? "
    r"(?:fechad[oa]|confirmad[oa]|agendad[oa]|marcad[oa]|reservad[oa]|contratad[oa]|assinad[oa]|selad[oa]"
    r"|acertad[oa]"
    r"|resolvid[oa]|garantid[oa])\b(?! (?:aos?|as|nos?|nas?|para almoco|no momento|hoje|agora|amanha) ?(?:doming"
    r"|sabad|feriad|momento|$)?)",
    r"\b(?:bem-?vind[oa]|seja bem-?vind[oa]|parabens)[^.!?\n]{0,40}\b(?:cliente|assinante|contratacao|aquisicao"
    r"|compra|plano|familia|parceir[oa])\b",
    r"^\W*(?:fechad[oa]s?|fechou|feito|negocio fechado|combinadissimo|deal|done deal|sold|sealed|agreed"
    r"|confirmad[oa]|agendad[oa]|marcad[oa]|reservad[oa])\b[^?]{0,80}",
    r"(?<=[.!\n]) *(?:fechad[oa]s?|fechou|negocio fechado|deal|done deal|sold|agreed|confirmad[oa]|agendad[oa]"
    r"|marcad[oa]|reservad[oa])\s*(?:[.!,]|$)",
    r"\b(?:combinado|fechado|certo|perfeito|otimo|beleza|show)\b[,!. ]{1,3}(?:entao )?(?:comecamos|comecaremos"
    r"|iniciamos|passamos|coletamos|buscamos|retiramos|instalamos|vamos ai|estaremos|chegamos|mandamos|enviamos"
    r"|o tecnico vai|o entregador|o motoboy|ate (?:segunda|terca|quarta|quinta|sexta|sabado|amanha)|nos vemos"
    r"|te esperamos|esperamos voce|esta combinado|ate la)\b",
    r"\b(?:comecamos|comecaremos|iniciamos|iniciaremos|damos inicio|esperamos voce|te esperamos|aguardamos voce"
    r"|passaremos|buscaremos|coletaremos|instalaremos|entregaremos|iremos ai"
    r"|estaremos ai)\b[^.!?\n]{0,25}\b(?:segunda|terca|quarta|quinta|sexta|sabado|domingo|amanha"
    rf"|hoje{_AS_OF_TODAY}|semana|mes"
    r"|dia|logo|imediat\w+|as \d|\d{1,2}\b)",
    r"\b(?:ja )?(?:fechei|confirmei|agendei|marquei|reservei|contratei|ativei|efetuei|emiti|gerei|formalizei"
    r"|registrei|fechamos|confirmamos|agendamos|marcamos|reservamos|contratamos|ativamos|formalizamos|emitimos"
    r"|cancelei|remarquei|inclui)\b(?: \w+){0,2}? (?:contrato|negocio|pedido|reserva|visita|horario|agendamento"
    r"|consulta|plano|assinatura|coleta|entrega|demonstracao|demo|pagamento|compra|venda|acordo|vaga|conta|boleto"
    r"|nota|cobranca|tecnico|motoboy|entregador|para|pra|voce|tudo|com voce)\b",
    r"\b(?:pode assinar|so assinar|basta assinar|e so assinar|assine aqui|assine (?:o|este|seu) contrato"
    r"|segue o contrato|contrato em anexo|aqui esta o contrato|fechamos assim|fechamos entao|entao fechamos"
    r"|esta fechado entao|fechamos negocio|fechar negocio agora|vamos fechar|bora fechar|podemos fechar"
    r"|pode fechar|negocio feito|trato feito|temos um (?:acordo|trato|negocio)|acordo feito|toca aqui"
    r"|aceito a proposta|aceitamos (?:a|sua|a sua) proposta|proposta aceita|oferta aceita|topo sim|topado"
    r"|esta contratado|voce (?:esta|foi) (?:contratad[oa]|inscrit[oa]|cadastrad[oa])|ja (?:e|eh) (?:nosso"
    r"|nossa) cliente|voce agora e cliente|considere feito|considere resolvido|tudo certo com (?:o |a )?(?:seu "
    r"|sua )?(?:pedido|pagamento|contratacao|compra|assinatura|reserva|contrato)|pagamento (?:caiu|recebido"
    r"|identificado|compensado)|recebemos (?:o )?(?:seu )?pagamento|seu plano (?:ja )?(?:comeca|comecou|vale)"
    r"|vigencia do contrato|contrato (?:ja )?(?:esta )?(?:valendo|vigente|em vigor)|(?:o )?(?:tecnico|motoboy"
    r"|entregador)(?: ja)? (?:esta a caminho|saiu|foi enviado|vai passar|passa|vai ai|chega)|te (?:vejo|espero"
    r"|esperamos)|nos vemos (?:na|no|amanha|segunda)|pode contar como fechado|vaga e sua|sua vaga esta)\b",
    rf"\b(?:{_BOOKABLE}) (?:is|are|has been|have been|was|now|s)?(?: (?:now|all|already|successfully|fully"
    rf"|officially|been)){{0,3}} ?{_BOOKED}\b",
    r"\b(?:i|we|i ve|we ve|ive|weve|i have|we have|i just|just|i ll|we ll|i will|we will)(?:'ve"
    r"|'ll)?(?: \w+){0,4}? (?:booked|confirmed|scheduled|reserved|signed you|placed your|locked in|activated"
    r"|secured you|put you down|put you in|pencilled you|penciled you|slotted you|cancelled your|moved your"
    r"|processed your|enrolled you|book you|pencil you|penciling you|sign you up|registered you|squeeze you in"
    r"|fit you in|cancel your|move your|reschedule your)\b",
    r"\b(?:you re|youre|you are|you're|consider yourself) (?:now |all |already |officially )*(?:booked|signed up"
    r"|confirmed|set for|registered|enrolled|a (?:customer|client|patient) now|in for|down for|good to go|on board"
    r"|locked in|scheduled|all set)\b",
    r"\b(?:we(?: have|'ve| ve)? (?:got )?a deal|it(?:'s|s| is) a deal|that(?:'s|s| is) a deal|you(?:'ve|ve"
    r"| have)? got (?:yourself )?a deal|deal[!.,]|done deal|deal done|let(?:'s|s| us) (?:call it|shake on it|seal"
    r"|sign|close)|shake on it|consider it (?:done|booked|sold|settled|confirmed)|it(?:'s|s| is) (?:settled"
    r"|official|a date|agreed|confirmed|booked)|all (?:booked|confirmed|signed|settled|agreed)|booked you in"
    r"|book(?:ed|ing)? confirmed|we accept your (?:offer|proposal|terms)|offer accepted|welcome (?:aboard|on board"
    r"|to the family|to the practice)|just sign|please sign|sign here|sign (?:the|this|your) contract"
    r"|see you (?:on|at|tomorrow|then|monday|tuesday|wednesday|thursday|friday|next)|we(?:'ll|ll| will) see you"
    r"|your (?:plan|subscription|account|membership) is (?:now )?(?:active|live|ready)|payment (?:received"
    r"|went through|confirmed)|order confirmed|contract (?:signed|closed)|agreed then|it is done|your (?:slot|spot"
    r"|place|seat|appointment|booking|order) is (?:yours|booked|confirmed|reserved|in|set|at|on|for|secured|saved"
    r"|held|ready)|the (?:slot|place|spot) is yours)(?!\w)",
    r"\b(?:signed,? sealed|signed and sealed|pact[ou]+ado|ficamos acertados|ficou acertado|acertado entao"
    r"|estamos acertados|estamos combinados|fica combinado|esta combinado|ta combinado|combinado entao"
    r"|entao combinado)",
)  # fmt: skip

# --- Negotiation -----------------------------------------------------------------------------------------------------

_NEGOTIATION = (
    r"\b(?:pelo|o|por um|um) (?:mesmo|menor|melhor) (?:preco|valor)\b(?! (?:e|depende|quem|uma pessoa))",
    r"\b(?:consigo|posso|conseguimos|da pra|da para) (?:\w+ )?melhorar (?:isso|um pouco|esse|este|o valor|o preco)\b",
    r"\b(?:igual[oa]|iguala\w*|cobr[eo]|cobre\w*|bate|batem|supera\w*|vence\w*)(?: \w+){0,2}? (?:oferta|propost"
    r"|orcament|concorren)\w*",
    r"\b(?:ganha|ganham|leva|recebe) (?:um|uma|o|a|os|as|dois|duas|tres|\d+) (?:primeir[oa]s? |segund[oa] )?(?:mes"
    r"|meses|entregas?|visitas?|coletas?"
    r"|semanas?|diarias?)\b",
    r"\b(?:shave|trim|chop)(?: \w+){0,3} off\b|\bopen to (?:offers|negotiation|haggling)\b|\b(?:indique|indicar"
    r"|trouxer)(?: \w+){0,4} (?:ganha|desconto|bonus)\w*",
    r"\b(?:consigo|posso|podemos|conseguimos|da pra|da para|vou|vamos|libero|liberamos|faco|fazemos|dou|damos"
    r"|ofereco|oferecemos|tenho|temos|ha|rola|aplico|aplicamos|autorizo|concedo|concedemos|ganha|ganham|ganhar"
    r"|tera|garante|aproveite|aproveita|recebe|com|use|usa|seu|segue)(?: \w+){0,5}? (?:descontos?|descontinho"
    r"|descontao|abatimento|promocao|promocoes|cupom|cupons|voucher|condicao especial|condicoes especiais"
    r"|condicao melhor|oferta|bonus|preco melhor|valor melhor|preco especial|valor especial|precinho"
    r"|preco de amigo)\b",
    r"\b(?:descontos?|promocao|cupom|condicao especial|oferta) (?:de|para|pra|especial|exclusiv[oa]|na|no"
    r"|valid[oa]|imperdivel|relampago)\b(?! (?:uma pessoa|a equipe|nossa equipe|pessoa|equipe))",
    r"\b(?:faco|fazemos|faz|consigo|conseguimos|deixo|deixamos|sai|fica|saia|posso fazer|podemos fazer"
    r"|posso deixar|da pra fazer)(?: \w+){0,3}? (?:mais barato|mais em conta|por menos|mais baixo|um preco bom"
    r"|bem mais barato|metade|melhor)\b(?!(?<=fica melhor)\?)",
    r"\b(?:cubro|cobrimos|cobriremos|bato|batemos|igualo|igualamos|supero|superamos|vencemos"
    r"|equiparamos)(?: \w+){0,3}? (?:oferta|preco|proposta|valor|concorrente|concorrencia|orcamento)s?\b",
    r"\b(?:melhoro|melhoramos|reduzo|reduzimos|baixo|baixamos|abaixo|diminuo|diminuimos|abatemos|abato|retiro"
    r"|tiramos|tiro|corto|cortamos|negocio|negociamos|negociar|posso rever|podemos rever|revejo|revemos"
    r"|flexibilizo|flexibilizamos|ajusto|ajustamos|melhorar|baixar|reduzir|rever|abaixar|facilito"
    r"|facilitamos)(?: \w+){0,3}? (?:preco|precos|valor|valores|proposta|taxa|frete|mensalidade|pagamento|parcela"
    r"|condicao|condicoes|custo|oferta|multa|juros)\b",
    r"\b(?:parcelamos|parcelo|parcelado|parcelada|parcelar|parcela em|parcelamento|financiamos|dividimos|divido"
    r"|dividir|dividid[oa] em(?! \S{1,10} (?:encontros|etapas|fases|modulos|sessoes|frentes|visitas)\b)"
    r"|pagar depois|pague depois|paga depois|pague so|pagamento facilitado"
    r"|pagamento (?:a vista|parcelado|em|no|na|via|por|ate|apos|depois|antecipado|so|somente|pode)"
    r"|aceitamos (?:pix|cartao|boleto|dinheiro|credito|debito|cheque|pagamento)|aceita(?:mos)? cartao"
    r"|entrada (?:de|mais|e o)|sinal de|faturamos|boleto (?:para|em|com)|prazo de pagamento|primeira parcela"
    r"|primeiro mes (?:e|sai|fica|por)|sem entrada|carencia)\b",
    r"\b(?:contraproposta|contra-proposta|meio[ -]termo|fazemos negocio|chegamos (?:a|em) um acordo|chegar (?:a"
    r"|em) um acordo|quanto (?:voce )?(?:quer|pode|poderia|aceita|pensa em|esta disposto a) pagar"
    r"|qual (?:e )?(?:o )?seu orcamento maximo|quanto (?:te|voce) (?:cobram|cobraram)|me manda a proposta (?:do"
    r"|deles)|se (?:voce )?fechar (?:hoje|agora|ate)|fechando (?:hoje|agora|ate)|so hoje|somente hoje"
    r"|oferta valida|ultimas vagas|condicao imperdivel|pra voce eu faco|para voce eu faco|abro (?:uma )?excecao"
    r"|abrimos (?:uma )?excecao|dou um jeito n[oa]|damos um jeito n[oa]|leve (?:dois|duas|2|3|tres)|pague (?:um"
    r"|uma|1)|chorinho|no capricho|mais vantajos[oa] que|mais barat[oa]s? (?:do )?que)\b",
    r"\b(?:discount|discounts|discounted|rebate|voucher|coupon|promo|promotion|special offer|special price"
    r"|better (?:price|deal|rate|offer)|price match|bulk rate|loyalty rate|cheaper rate|sweeten|knock (?:something"
    r"|some|a bit|a little|\w+)(?: \w+)? off|money off|take (?:something|some|a bit|a little)? ?off the"
    r"|lower (?:the|our|that|your) (?:price|fee|rate|cost)|drop (?:the|our) (?:price|fee)|reduce (?:the|our"
    r"|your) (?:price|fee|rate|cost|bill)|waive|counter ?-?offer|meet (?:you )?in the middle"
    r"|meet (?:you )?half ?way|split the difference|work something out on|do better (?:on|than)|do it (?:for less"
    r"|cheaper)|beat (?:any|their|that|the|your)|match (?:any|their|that|the|your)(?: \w+){0,2} (?:price|quote"
    r"|offer|rate|fee)s?|undercut|negotiate|negotiable|room to move|room for|flexible on (?:price|the price|fees"
    r"|cost)|payment (?:plan|terms|in|by|schedule)s?|instal?lments?|pay (?:later|monthly|weekly|in|over|by|half"
    r"|upfront|after)|spread the (?:cost|payments?)|finance|financing|buy now|name your price|what(?:'s"
    r"| is) your budget|how much (?:can|could|would|are) you|if you (?:sign|book|commit|pay|decide) (?:today|now"
    r"|this week)|today only|limited offer|cut you a|best i can do|give you a (?:good|great|better"
    r"|special) (?:price|deal|rate)|cheaper than|two for one|buy one)\b",
)  # fmt: skip

# --- Promise ---------------------------------------------------------------------------------------------------------

_ARRIVES = (
    r"(?:chega\w*|entreg(?:amos|aremos|a|am|ue|ara|arao|ar|ue)|recebe\w*|fic[ao]\w* pront\w+|resolv\w+|consert\w+"
    r"|coleta\w*|busca\w*|sai|saira"
    r"|instal\w+|respond\w+|retorn\w+|lig[ao]\w*|(?<!equipe )(?<!escritorio )volta"
    r"|volta(?! ?(?:[.!\n]|$))|termina\w*|conclui\w*|funciona\w*|estar[ae]\w*|comec(?:amos"
    r"|a|aremos|ara|am|ar)|inici(?:amos|a|aremos|ara|am|ar)"
    r"|passa\w*|manda\w*|envi\w+|prepar\w+)"
)
_WHEN = (
    rf"(?:hoje{_AS_OF_TODAY}"
    r"|amanha|ainda hoje|agora mesmo|imediatamente|na hora|rapidinho|em instantes|em breve|ate (?:amanha"
    r"|hoje|segunda|terca|quarta|quinta|sexta|sabado|o fim|o final|meio dia)|(?:em|dentro de|daqui a|no maximo|ate"
    r"|menos de|em ate|em menos de|em cerca de|em no maximo) (?:um|uma|uns|umas|poucos|poucas|alguns|algumas|\d+"
    rf"|{NUMBER_WORD}) ?(?:h|hs|min|horas?|minutos?|minutinhos|dias?|semanas?|mes|meses|segundos?))"
)
_PROMISE = (
    r"\b(?:garanto|garantimos|garantido|garantida|garantidos|garantidas|garantia|garante|garantem|asseguro"
    r"|asseguramos|assegurado|prometo|prometemos|promessa|te dou minha palavra|dou a minha palavra|minha palavra"
    r"|palavra de honra|juro|juramos|me comprometo|nos comprometemos|comprometo|comprometemos|compromisso de"
    r"|sem falta|sem erro|sem risco|risco zero|zero risco|infalivel|pode confiar que|pode ter certeza"
    r"|tenha certeza|tenho certeza (?:de )?que|certeza absoluta|certeza que|fique tranquil[oa] que"
    r"|pode ficar tranquil[oa] que|esta garantido|cem por cento|nunca (?:atrasa|falha|quebra|da problema|cai"
    r"|atrasamos|falhamos|erramos)\w*|jamais (?:atrasa|falha|quebra|atrasamos|falhamos)\w*|sempre (?:chega|pontual"
    r"|no prazo|no horario)|devolvemos (?:o |seu |o seu )?dinheiro|dinheiro de volta|reembols\w+|indeniz\w+"
    r"|ressarci\w+|restitui\w+|estorn\w+|satisfacao garantida|resultado garantido|com certeza (?:vai|chega|resolve"
    r"|resolvemos|fica|da|entrega\w*|conseguimos|vamos|recebe|estara|e possivel|funciona|dara)|vai (?:dar"
    r"|funcionar) (?:tudo )?certo|vitalici[oa]|para sempre|prazo de (?:entrega|resposta|conclusao|execucao"
    r"|instalacao)? ?(?:e|de)? ?\d+)\b",
    r"\b100 ?%",
    rf"\b{_ARRIVES}\b(?: \w+){{0,5}}? {_WHEN}\b",
    rf"\b{_WHEN}\b,?(?: \w+){{0,4}}? {_ARRIVES}\b",
    rf"\b(?:prazo|previsao|estimativa|tempo)\b[^.!?\n]{{0,30}}\b(?:e|eh|de|sao|:|fica|seria"
    rf"|em)\b[^.!?\n]{{0,12}}?(?:\d+|{NUMBER_WORD}|um|uma|hoje|amanha)\b ?(?:h|hs|min|horas?|minutos?|dias?"
    r"|semanas?|mes|meses|$)?(?: uteis)?",
    r"\b(?:i|we)(?: can| do| will| would|'ll| ll)? (?:guarantee|promise|assure|swear|vow|pledge|warrant|ensure)\b"
    r"|\b(?:guaranteed?|guarantees|money[ -]back|refund\w*|reimburse\w*|compensat\w+|you have my word"
    r"|my word on it|give you my word|without fail|no risk|risk[ -]free|rest assured|100 ?%|hundred per ?cent"
    r"|never (?:fails?|late|hurts?|breaks?|goes wrong)|always on time|painless|pain[ -]free|won t hurt|won't hurt"
    r"|will not hurt|wont hurt|won t feel|won't feel|no pain|lifetime|forever|definitely (?:be|get|have|arrive|fix"
    r"|will)|will definitely|certainly (?:be|will|fix|arrive)|for sure|no doubt|perfect (?:smile|teeth|results?)"
    r"|permanent(?:ly)?|cure[sd]?|you(?:'ll| ll| will) (?:have|get|receive|be seen|see|hear)(?: \w+){0,5}? (?:by"
    r"|within|today|tomorrow|tonight|in \w+ (?:minute|hour|day|week|month)s?|before|this (?:afternoon|morning"
    r"|evening|week)|right away|straight away|immediately))\b",
    r"\b(?:arrive|arrives|arriving|delivered|ready|fixed|done|finished|call(?! \d)|calls|calling|reply|replies|answer"
    rf"|back to you|in touch|seen|see|there|over|sorted|starts?)\b(?: \w+){{0,4}}? (?:by (?:tomorrow|today|tonight"
    rf"|noon|monday|tuesday|wednesday|thursday|friday|the end|\d+)|within (?:the |an? )?(?:\d+|{NUMBER_WORD}|hour"
    rf"|day|week)|in (?:an?|\d+|{NUMBER_WORD}|under|less|a few|a couple of) ?(?:minutes?|hours?|days?|weeks?"
    r"|months?|mins?)|today|tomorrow|tonight|this (?:afternoon|morning|evening|week)|immediately|straight away"
    r"|right away)\b",
    r"\b(?:chega|chegara|chegam|recebe|recebera|fica pront[oa]|resolvemos|estara ai"
    r"|estaremos ai)\b(?: \w+){0,4}? (?:antes das|ate as|as) \d",
)  # fmt: skip
_DURATION = (
    rf"\b(?:it )?takes? (?:only |just |about |around |up to |less than )?(?:an?|\d+|{NUMBER_WORD}) (?:minutes?"
    r"|hours?|days?|weeks?|months?)\b",
    rf"\b(?:leva|demora|dura|levam|demoram)(?: \w+){{0,3}}? (?:um|uma|uns|umas|\d+|{NUMBER_WORD}) ?(?:h|min|horas?"
    r"|minutos?|dias?|semanas?|mes|meses)\b",
)  # fmt: skip

# --- Parts of a prompt -----------------------------------------------------------------------------------------------

_LEAK = (
    r"</?[ ]?[a-z][\w-]{2,40}[ ]?/?>|\{\{|\}\}|\{%|\[/?(?:inst|system|assistant|user)\]|<\|",
    r"\b(?:system|sistema|developer|user|assistant) ?(?:prompt|message)\b|\bprompt (?:do|de|inicial|original"
    r"|interno|completo|injection)\b|\b(?:meu|minha|o|my|the|this|hidden|initial|original) prompt\b"
    r"|\bmensagem de sistema\b|\bprompts?\b",
    r"\b(?:as|minhas|nossas|essas|estas|suas) (?:instrucoes|diretrizes|regras) (?:que (?:recebi|me deram|sigo"
    r"|tenho|me passaram|preciso seguir)|internas|sao|do sistema|dizem|mandam|incluem|proibem|de atendimento sao"
    r"|ocultas|iniciais|originais)\b|\b(?:fui|sou|estou) (?:instruid|programad|orientad|configurad|treinad"
    r"|proibid)[oa]\b|\b(?:recebi|tenho|sigo) (?:as )?(?:seguintes )?(?:instrucoes|ordens|regras|diretrizes)\b"
    r"|\bminhas instrucoes\b|\bmodelo de linguagem\b",
    r"\b(?:my|the|these|those|system|internal|secret|hidden|following) (?:instructions|guidelines|rules"
    r"|directives) (?:i (?:was|were|got|received|have|follow)|say|tell|are|state|forbid|that)\b"
    r"|\bmy (?:instructions|guidelines|rules|programming|training|configuration)\b|\bi (?:was|am|have been|ve been"
    r"|'m) (?:instructed|programmed|told to|configured|prompted|trained|forbidden|not allowed to)\b"
    r"|\blanguage model\b|\bas an ai\b",
    r"(?:^|\n|\s)(?:action|step \d+|expected_output|expected output|output format|task|role|context|constraints) ?:",
    r"[\"'](?:next_state|allowed_states|state|confidence|business_line|intent|waiting_for|collected|options|text"
    r"|type|asset|list_label|role|content|next|trigger)[\"'] ?:",
    r"\[[a-z]+/[a-z]+\]|\bsays: |\bask: [a-z]+,",
)  # fmt: skip
_INTERNAL_NAME = re.compile(r"(?<![\w@/.-])[a-z]+(?:_[a-z0-9]+)+(?![\w@])")
# No leak is without one of these, and most texts have none.
_MAY_LEAK = re.compile(
    r"[<{}\[|\"']|expected_output|prompt|sistema|system|message|instruc|diretri|regras|guideline|rules|directive|instructed|programm"
    r"|told|configur|trained|treinad|forbid|allowed|modelo|model|as an ai|proibid|orientad|ordens|: "
)
_STATE_NAMES = re.compile(
    r"\b(?:INIT|IDENTIFYING|UNDERSTANDING_INTENT|PROCESSING|GENERATING_RESPONSE|SELECTING_MESSAGE_TYPE|AWAITING_USER"
    r"|ESCALATING|COMPLETED|FAILED|SPAM|BUTTON|TEMPLATE|REACTION|EXPECTED_OUTPUT|ACTION)\b"
)

_SQUEEZED_MONEY = re.compile(r"reais|dolares|euros|contos|mangos|pilas|dollars|bucks|pounds|quid")
_ENDS_WITH_NUMBER = re.compile(rf"(?:\d|{NUMBER_WORD})(?:de)?$")
_SQUEEZED = (
    (
        Rule.PRICE,
        re.compile(
            r"(?:custa|saipor|ficaem|apenas|precode|valorde|apartirde|costs|onlyfor|priceis)\d{2,}(?!h)"
            r"|freeofcharge|custozero|semcustoalgum"
        ),
    ),
    (
        Rule.CLOSING,
        re.compile(
            r"(?:negocio|contrato|acordo)fechado|(?:pedido|reserva|visita)confirmad[oa]|contratoassinado|dealdone"
            r"|wehaveadeal|(?:booking|order|appointment)confirmed"
        ),
    ),
)

# A line that ends without a stop may go on in the next.
_BROKEN_LINE = re.compile(r"(?<=[a-z0-9$,])[ ]?\n[ ]?(?=[a-z0-9$])")

# "não posso garantir" promises nothing; "não se preocupe, garanto" does.
_DENIED = re.compile(
    r"(?:\b(?:nao|nem|nunca|sem|nada|ninguem|nothing|nobody|nenhum|nenhuma|cannot"
    r"|can ?'?t|not|never|don ?'?t|doesn ?'?t|unable to|won ?'?t"
    r"|isn ?'?t|aren ?'?t|impossivel)|^ *no)"
    r"(?: (?!duvida|preocup|problema|esque|ha duvida|(?:only|so|just|apenas|somente)\b|worry|doubt)\w+){0,3} $"
    r"|\b(?:can ?'?t|cannot|nao (?:posso|podemos|tenho como|temos como|da (?:para|pra))) (?:promise|guarantee"
    r"|say|prometer|garantir|dizer|afirmar|assegurar)(?: (?!but|mas|so|e|and)\w+){0,6} $"
)
_CONDITION = re.compile(r"\b(?:com|apos|quando|se|depois de|once|if|when|after) (?:[ao]s? |the |your |uma? )?$")
_BY_THE_TEAM = re.compile(
    r" (?:(?!foi|ja)\w+ ){0,2}?(?:por|pel[ao]|com|by) (?:\w+ ){0,3}?(?:equipe|pessoa|alguem|comercial|operacao"
    r"|front desk|desk|team|someone|reception)\b"
)
_THEIR_MATTER = re.compile(
    r",? (?:\w+ ){0,4}?(?:assunto|matter|question)s? [^.!?\n]{0,30}\b(?:equipe|pessoa|comercial|desk|team)\b"
)
_AS_A_RULE = re.compile(r"\b(?:e|sao|is|are|be|ser|sera)\b(?! (?:now|already|ja))")
_HOUSE = re.compile(r"\b(?:escritorio|atendimento|loja|domingos?|feriados?|sabados?|almoco)\b")
_REASSURING = re.compile(r"preocup|duvid|esque|worr|doubt|problem")


@dataclass(frozen=True)
class PhraseRule:
    """A rule and its patterns. `deniable` findings do not count when the clause denies them."""

    rule: Rule
    pattern: re.Pattern[str]
    deniable: bool


def _joined(patterns: Sequence[str]) -> re.Pattern[str]:
    """One pattern for all; those that begin at a word share the search for its beginning."""
    at_word = [pattern.removeprefix(r"\b") for pattern in patterns if _begins_at_word(pattern)]
    others = [pattern for pattern in patterns if not _begins_at_word(pattern)]
    shared = [rf"\b(?=[a-z0-9])(?:{'|'.join(at_word)})"] if at_word else []
    return re.compile("|".join(f"(?:{sharing(pattern)})" for pattern in (*shared, *others)))


def _begins_at_word(pattern: str) -> bool:
    return pattern.startswith((r"\b(?:", r"\b100")) and r"|\b" not in pattern


_WITH_NUMBER = _joined(_PRICE_WITH_NUMBER)
_IN_WORDS = _joined(_PRICE_IN_WORDS)
_NUMBER_OR_SIGN = re.compile(rf"[\d$]|\b{NUMBER_WORD}\b")
_NUMBER_IN_WORDS = re.compile(rf"\b{NUMBER_WORD}\b")
_LONGEST_PRICE = 90
_LASTS = _joined(_DURATION)
RULES = (
    PhraseRule(Rule.CLOSING, _joined(_CLOSING), deniable=True),
    PhraseRule(Rule.NEGOTIATION, _joined(_NEGOTIATION), deniable=True),
    PhraseRule(Rule.PROMISE, _joined(_PROMISE), deniable=True),
    PhraseRule(Rule.PROMPT_LEAK, _joined(_LEAK), deniable=False),
)


def price_findings(text: str) -> Iterator[Finding]:
    """Prices and money in a flat text, from which supported hours, phones and quantities have been blanked."""
    yield from (_finding(Rule.PRICE, match) for match in _prices(text))


def price_spans(text: str) -> list[tuple[int, int]]:
    """Where prices and money stand in a flat text."""
    return [match.span() for match in _prices(text)]


def _prices(text: str) -> Iterator[re.Match[str]]:
    yield from _IN_WORDS.finditer(text)
    for start, end in _surroundings(text):
        yield from _WITH_NUMBER.finditer(text, start, end)


def _surroundings(text: str) -> Iterator[tuple[int, int]]:
    """The parts of a text that are near a number: the only ones where most prices can be, and few in most texts."""
    start = end = -1
    for match in _NUMBER_OR_SIGN.finditer(text):
        if match.start() - _LONGEST_PRICE > end:
            if end >= 0:
                yield start, end
            start = max(0, match.start() - _LONGEST_PRICE)
        end = match.end() + _LONGEST_PRICE
    if end >= 0:
        yield start, end


def duration_findings(text: str) -> Iterator[Finding]:
    """How long something is said to take, in a flat text from which supported quantities have been blanked."""
    yield from (_finding(Rule.PROMISE, match) for match in _LASTS.finditer(text))


def phrase_findings(text: str) -> Iterator[Finding]:
    """Closings, negotiation, promises and parts of a prompt in a flat text."""
    if "_" in text:
        yield from (_finding(Rule.PROMPT_LEAK, match) for match in _INTERNAL_NAME.finditer(text))
    may_leak = _MAY_LEAK.search(text) is not None
    for rule in RULES:
        if rule.rule is Rule.PROMPT_LEAK and not may_leak:
            continue
        for match in rule.pattern.finditer(text):
            if rule.deniable and (is_denied(text, match.start()) or is_their_matter(text, match.end())):
                continue
            if rule.rule is not Rule.CLOSING or not _is_not_about_the_person(text, match):
                yield _finding(rule.rule, match)


def disguised_findings(text: str, also: Callable[[str], Iterable[Finding]]) -> Iterator[Finding]:
    """The same rules on every other reading of the sentences that have one; `also` where letters stood one by one."""
    disguised = _sentences(text) if without_disguise(text) else ()
    for sentence in disguised:
        for reading in without_disguise(sentence):
            yield from price_findings(reading)
            yield from phrase_findings(reading)
            if reading in with_letters_joined(sentence):
                yield from also(reading)
            yield from _spelled_out(sentence, reading)
    if _BROKEN_LINE.search(text):
        joined = _BROKEN_LINE.sub(" ", text)
        yield from price_findings(joined)
        yield from phrase_findings(joined)
    yield from _squeezed_findings(squeezed(text))


def _spelled_out(sentence: str, reading: str) -> Iterator[Finding]:
    """A number in words that only another reading shows: nobody spells out a number to be harmless."""
    shown = sum(1 for _ in _NUMBER_IN_WORDS.finditer(sentence))
    hidden = list(_NUMBER_IN_WORDS.finditer(reading))
    if len(hidden) > shown:
        yield _finding(Rule.PRICE, hidden[-1])


def _squeezed_findings(tight: str) -> Iterator[Finding]:
    for match in _SQUEEZED_MONEY.finditer(tight):
        if _ENDS_WITH_NUMBER.search(tight[max(0, match.start() - 20) : match.start()]):
            yield Finding(rule=Rule.PRICE, excerpt=tight[max(0, match.start() - 20) : match.end()])
    for rule, pattern in _SQUEEZED:
        yield from (_finding(rule, match) for match in pattern.finditer(tight))


def state_name_findings(seen_text: str) -> Iterator[Finding]:
    """Internal names of states, which are told from ordinary words by their capitals."""
    yield from (_finding(Rule.PROMPT_LEAK, match) for match in _STATE_NAMES.finditer(seen_text))


def is_denied(text: str, start: int) -> bool:
    """Whether the words right before a place, in the same clause, say that it is not so."""
    clause = re.split(r"[,.;:!?\n]", text[max(0, start - 60) : start])[-1]
    return _DENIED.search(clause) is not None and _REASSURING.search(clause) is None


def is_their_matter(text: str, end: int) -> bool:
    """Whether the words right after a place hand it to the team: "... are questions for the front desk"."""
    return _THEIR_MATTER.match(text, end) is not None


def _is_not_about_the_person(text: str, match: re.Match[str]) -> bool:
    """Whether a closing is what the team does as a rule, a condition, or the house that is closed."""
    if _CONDITION.search(text, max(0, match.start() - 30), match.start()):
        return True
    if _BY_THE_TEAM.match(text, match.end()) and _AS_A_RULE.search(match[0]):
        return True
    shut = "fechad" in match[0] and not re.search(_AGREED_THING, match[0])
    around = text[max(0, match.start() - 60) : match.end() + 60]
    return shut and _HOUSE.search(around) is not None


def _sentences(text: str) -> list[str]:
    return [sentence for sentence in re.split(r"(?<=[.!?;])\s|\n(?=\w{2})", text) if sentence.strip()]


def _finding(rule: Rule, match: re.Match[str]) -> Finding:
    return Finding(rule=rule, excerpt=match[0].strip()[:EXCERPT])
