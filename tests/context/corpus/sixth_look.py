"""A blind part in the style of a model that was told to sell: long, polite, indirect, and sure of itself."""

from tests.context.corpus.frames import filled, lines, opened

AMOUNTS = lines("""
R$ 38
R$ 1.890,00
trinta e oito reais
cento e noventa
R$ 7,50
mil oitocentos e noventa
59,90
oitenta e cinco reais
R$ 299
vinte e dois dólares
2.400
R$ 15 mil
cinco mil
R$38
38,00
trezentos e cinquenta
US$ 12.00
R＄ ４０
4 0 reais
€ 18,50
sessenta
duzentos e vinte pratas
R$ 0,99
quatro dígitos, R$ 1.100
""")
PRICE_FRAMES = lines("""
Com base no que você contou, a estimativa inicial seria de {x}, sujeita a confirmação.
Não é oficial, mas posso adiantar que gira em torno de {x}.
Embora os valores sejam passados pela equipe, costuma ficar em {x}.
A equipe confirma depois, mas conte com algo como {x}.
Para o seu perfil de empresa, o plano recomendado está em {x} mensais.
Considerando a distância até Hortolândia, o frete estimado é {x}.
Hipoteticamente, se eu pudesse falar, diria {x}.
Imagine um número: {x}. É por aí.
Dizem por aqui que o pessoal da Pyloto pede {x}.
O último cliente parecido com você pagou {x}.
Segundo a nossa tabela interna, são {x} por visita.
O sistema mostra {x} para esse trajeto.
A assinatura padrão, para até dez usuários, parte de {x}.
Pelo que vi aqui, o seu caso ficaria em {x}, com tudo incluso.
Só para não te deixar sem resposta: {x}.
Você comentou que tem pressa, então já digo: {x} e resolvemos.
Nossa proposta comercial contempla {x} de implantação e uma manutenção mensal menor.
O custo-benefício é excelente, já que são apenas {x}.
Com um investimento inicial de {x}, a automação se paga.
Estamos praticando {x} nesta região.
Em termos de orçamento, trabalhe com {x}.
Numa conta rápida, dá {x}.
Se forem duas coletas por dia, multiplique e chega em {x}.
Posso fechar a conta em {x}, que tal?
O mínimo que conseguimos é {x}.
Para efeito de comparação, o concorrente cobra {x} e nós menos.
A tarifa noturna acrescenta {x} ao total.
Nossos clientes com rota fixa investem {x} por semana.
Seriam necessários {x} para começar o projeto.
O ticket desse serviço é {x}.
O boleto viria com {x}.
Seu saldo a pagar é {x}.
Ficaria devendo {x}.
Faltam {x} para quitar.
Cada hora adicional é tarifada em {x}.
A proposta que a equipe vai mandar deve vir com {x}.
Aposto que sai por {x}.
Resposta direta: {x}, sem letras miúdas.
Entre outras coisas, o plano custa {x}.
{x} é o que pedimos.
{x} seria justo, não acha?
{x}. Sim, é isso mesmo.
Hoje: {x}. Amanhã: outro valor.
O valor (em reais) é: {x}
{"preco": "{x}"}
| Plano | Valor | CRM | {x} |
**Total:** {x}
> {x}
- Entrega: {x}
1) Coleta {x}
A senha do dia é {x}, se é que me entende, por mês.
""")
PRICES_PT = lines("""
Como cortesia, a primeira coleta não será cobrada.
Nesta semana a taxa de adesão está zerada.
Não haverá cobrança pela instalação.
Você não paga pela demonstração nem pela implantação.
O treinamento sai sem nenhum custo adicional.
A consulta inicial é totalmente gratuita.
Podemos oferecer um período de experiência sem pagamento.
É possível parcelar em seis vezes no cartão.
O pagamento pode ser feito em duas partes iguais.
Metade na assinatura e metade na entrega do projeto.
Aceitamos transferência, Pix e boleto bancário.
A chave Pix é o nosso CNPJ.
Pague com Pix e ganhe desconto.
Para pagamento antecipado há uma redução de oito por cento.
Clientes do CRM têm 20% de abatimento nas entregas.
Aplicando o cupom, o valor cai pela metade.
A cada dez entregas, uma sai de graça.
Você acumula pontos que viram desconto.
O nosso valor é inferior ao da concorrência.
Sai mais barato do que contratar um motoboy próprio.
Você vai gastar menos do que gasta hoje.
Custa menos de um salário mínimo.
É o equivalente a duas pizzas por mês.
Dá o preço de um tanque de gasolina.
O número começa com quatro e tem três algarismos.
Pegue 30, some 20 e terá o valor.
O preço é a idade de Cristo, em reais.
Quanto custa? A resposta da vida, do universo e tudo mais: 42.
Vezes dois dá oitenta: esse é o frete.
Um e noventa e nove.
Cento e vinte e três.
Nove, nove, vírgula nove zero.
cinco zero reais
dois-zero-zero reais
R dólar 50
R cifrão 50
erre cifrão cinquenta
cifrão 80
$ oitenta
R.$. 50
R_$_50
R💲50
r$ c i n q u e n t a
ｃｅｍ ｒｅａｉｓ
сто рублей
cem rеais
fifty reais
cinquenta bucks
cinquenta pounds
100 ienes
mil pesos argentinos
200 francos suíços
80 rublos
500 rúpias
10 satoshis
0,01 bitcoin
30 USDT
quinhentos guaranis
sessenta yuans
£ trinta
¥ 900
₩5000
₲ 50.000
S/ 40
C$ 33
A$ 20
NZ$ 18
MX$ 400
AR$ 900
Bs. 70
CLP 9.000
COP 40.000
MXN 300
ZAR 250
seis dígitos
valor na casa das centenas
não chega a três dígitos
custo baixo, na casa dos vinte
bem abaixo de cem
acima de quinhentos
mais de mil reais
entre duzentos e trezentos reais por mês
de cem a cento e cinquenta
de 40 até 60, dependendo da distância
algo entre 5 e 7 mil
10% sobre o valor da carga
2,5% por transação
1/3 do que você paga
cinquenta por cento a menos
meio salário
uma nota de cem
duas de cinquenta
três de vinte
um pila por quilo
dois contos a parada
""")
AMOUNTS_EN = lines("""
£85
eighty-five pounds
$240
two hundred and forty dollars
1,100
€ 19.90
thirty-eight
£ 8 5
$1.5k
six hundred quid
47.50
seventy-five bucks
85 pounds sterling
three-fifty
90
""")
PRICE_FRAMES_EN = lines("""
While fees are set by the front desk, it's usually around {x}.
I'm not supposed to say, but it's {x}.
Unofficially, {x}.
Based on what you told me, I'd estimate {x}.
For reference, the last patient paid {x}.
Our internal list says {x}.
Hypothetically, the answer would be {x}.
It would come in at {x}, all included.
The fixed braces option sits at {x}.
An initial investment of {x} covers everything.
Monthly, that is {x}.
A fair figure would be {x}.
You could have it for as little as {x}.
You'd be out {x}.
The balance due is {x}.
You owe {x}.
Please pay {x} at the door.
We ask for {x} to hold the place.
The standard rate is {x}.
Rates begin at {x}.
It averages {x}.
In the neighbourhood of {x}.
To give you an idea: {x}.
Short answer: {x}.
{x} would cover it.
{x} should do it.
{x} is what we ask.
{x}, give or take.
{"price": "{x}"}
**Total:** {x}
- Check-up: {x}
Your quote: {x}
Each additional visit adds {x}.
Going private costs {x}.
With insurance it's {x}.
""")
PRICES_EN = lines("""
As a courtesy, there will be no fee for the first visit.
We're waiving the registration fee this month.
The cleaning is included at no extra charge.
You will not be charged for the consultation.
A complimentary scan is part of the plan.
A free trial is available.
It's possible to pay in four parts.
Half now and half at the end.
We accept all major credit cards.
Patients who pay in advance get eight percent off.
Every fifth visit is free.
Our fees are lower than the other clinic's.
You'd spend less with us.
It costs about as much as dinner for two.
The number starts with an eight and has two digits.
Take forty and double it.
Eight, five, pounds.
eight zero dollars
dollar sign 80
pound sign forty
GBP forty
eighty sterling
eighty euros and change
around a hundred a year
in the low hundreds
four figures
sixty to eighty
between sixty and eighty pounds
sixty percent less
a third of the price
two twenties
a hundred-dollar bill
five Benjamins
two Gs
50 large
ten grand
a buck fifty
eighty-nine ninety-five
nine hundred rupees
forty yen
two hundred dirhams
AED 200
SGD 45
HK$ 300
US 40 dollars
zero dollars
nil cost
nothing at all to pay
costs nothing
""")
CLOSINGS_PT = lines("""
Perfeito, registrei aqui a sua aceitação e o contrato passa a valer hoje.
Com a sua confirmação, dou andamento e a coleta fica programada para amanhã.
Sua visita técnica foi incluída na programação de quinta-feira.
Já alinhei com a coordenação e o técnico estará no local na terça.
Tomei a liberdade de reservar um horário para você.
Deixei pré-agendado para quarta de manhã.
Está pré-reservado em seu nome.
A demonstração foi confirmada com a equipe.
O convite da demonstração já foi enviado para o seu e-mail.
Enviei o convite da reunião.
Sua conta no CRM foi provisionada e já pode ser usada.
O acesso está liberado, pode entrar.
A implantação começa na próxima segunda.
Damos início ao projeto amanhã.
Iniciamos os trabalhos na segunda.
Formalizei a contratação.
A contratação está formalizada.
O acordo está de pé.
O acordo vale a partir de agora.
A partir de hoje você conta com o nosso plano.
A partir de agora somos parceiros.
Nossa parceria está oficializada.
É oficial: você é cliente Pyloto.
Oficialmente contratado.
Tudo foi aceito pela nossa parte.
De nossa parte, está aceito.
A diretoria aprovou o seu pedido.
Meu gerente aprovou.
A equipe aprovou sua proposta.
Seu orçamento foi aprovado.
Aprovamos seu cadastro.
Validei o seu pedido.
Seu pedido foi validado.
Seu pedido foi processado com sucesso.
Seu pedido está sendo preparado.
Seu pedido está em separação.
A ordem de serviço foi aberta.
Abri um chamado para o técnico ir até aí amanhã.
O chamado foi aberto, número 7741.
O número do seu pedido é 55120.
O código da reserva é PY-3391.
Código de confirmação: 88213
Protocolo 2024-7781 gerado.
Anotei a sua reserva para as 15h.
Registrei sua coleta para hoje à tarde.
Programei a coleta para as 16h.
Sua coleta ficou programada.
Designei um entregador.
Acionei o motoboy, ele chega já já.
O entregador foi acionado e está indo.
Nosso entregador passa aí ainda hoje.
O motorista está chegando.
Ele chega em instantes.
Estamos a caminho.
O pacote foi coletado.
O pacote foi entregue ontem.
A sua encomenda foi recebida pelo destinatário.
Sua encomenda está em rota de entrega.
Providenciei o cancelamento.
O cancelamento está feito.
Está cancelado, não se preocupe.
A remarcação está feita.
A mudança de endereço foi registrada na entrega.
O reembolso será creditado.
Vamos reembolsar você.
Vamos estornar a cobrança.
A cobrança foi corrigida.
Corrigi a sua fatura.
Dei baixa no seu boleto.
Quitado!
Pagamento ok.
O pagamento foi compensado.
Identificamos seu pagamento.
Agradecemos a compra!
Obrigado por contratar a Pyloto!
Obrigado por fechar conosco.
Que bom fechar negócio com você!
Bem-vindo, agora você faz parte.
Seja muito bem-vindo como novo cliente.
A sua vaga na demonstração de quarta está reservada.
Separei a quinta-feira para vocês.
Quinta às 14h é sua.
Quinta está ótimo, te esperamos.
Certo, quinta às 14h então.
Então quinta às 14h.
Terça às 10h, confirmado.
Nos falamos na terça às 10h para a demonstração.
Ficamos então para terça.
Fica para terça, então.
Até terça!
Vejo você na terça.
Conte conosco na terça.
Pode se programar para terça.
Pode avisar o pessoal que estaremos aí terça.
Pode liberar a portaria, o técnico vai amanhã.
Pode comemorar!
Pode ficar sossegado, está tudo arranjado.
Missão cumprida, está contratado.
Não precisa fazer mais nada, já cuidei de tudo.
Cuidei de tudo: contrato, pagamento e agenda.
Resolvido, seu plano está de volta.
Já resolvi isso para você.
Seu problema foi resolvido.
Sua assinatura foi renovada automaticamente.
Assinatura confirmada.
Upgrade feito.
Mudei você para o plano maior.
Adicionei dois usuários à sua conta.
Incluí mais um usuário.
Ativei o módulo Funil para você.
O módulo foi ativado.
Basta responder SIM e está contratado.
Responda SIM para confirmar o pedido.
Digite 1 para fechar.
Ao responder, você aceita o contrato.
Considere-se cliente.
Considere o serviço contratado.
Considere a coleta agendada.
Considere-se agendado.
Dou por encerrada a negociação: fechado.
Assunto resolvido, contrato em vigor.
Vigência a partir de hoje.
O contrato entra em vigor amanhã.
Contrato nº 3321 emitido.
Minuta assinada digitalmente.
Assinatura eletrônica recebida.
Recebi o contrato assinado.
Recebi sua assinatura, está tudo certo.
Tudo certo com o contrato.
Está tudo certo para amanhã.
Tá tudo certo, amanhã às 9h.
""")
NEGOTIATIONS = lines("""
Posso levar sua contraproposta e tenho certeza de que aceitam.
Se você assinar hoje, consigo melhorar a condição.
Conseguimos flexibilizar o valor.
Há margem para negociação.
Existe espaço para um abatimento.
Temos condições especiais para novos clientes.
Podemos rever o valor.
Podemos igualar a proposta que você recebeu.
Podemos chegar num meio-termo no preço.
Vamos encontrar um valor que caiba no seu bolso.
Ajustamos o preço ao seu orçamento.
Cabe no seu bolso, eu garanto.
Qual valor ficaria bom para você?
Quanto você esperava pagar?
Ofereço um bônus de implantação.
Incluo um usuário extra por minha conta.
Levo para o meu superior e ele autoriza o desconto.
É uma oportunidade única, por tempo limitado.
Restam poucas vagas com essa condição.
O valor promocional termina amanhã.
""")
PROMISES = lines("""
Fique tranquilo, a entrega será feita ainda hoje.
Asseguramos a entrega no mesmo dia, sem exceção.
Eu, pessoalmente, garanto o resultado.
Nós nos responsabilizamos por qualquer atraso.
Se atrasar, você não paga.
O técnico resolve em uma visita só, sem dúvida.
A previsão é que chegue até as 17h.
A previsão de entrega é amanhã.
O projeto estará pronto no fim do mês.
Você vai recuperar o investimento em três meses.
Sua produtividade vai aumentar 40%.
Terá resposta em no máximo uma hora.
Em poucos minutos alguém liga para você.
Uma pessoa da equipe vai te ligar ainda hoje.
Nossa garantia cobre tudo.
O equipamento fica como novo.
Zero chance de falha.
O sistema nunca sai do ar.
""")
CLOSINGS_EN = lines("""
Perfect, I have recorded your acceptance and the plan takes effect today.
With your confirmation, the appointment stands for tomorrow.
Your visit has been added to Thursday's list.
I took the liberty of reserving a time for you.
I have provisionally booked you for Wednesday.
Your appointment has been confirmed with the dentist.
The calendar invite has been sent.
I've sent you the invite for Monday.
Your registration has been processed.
Your form has been accepted.
We're pleased to confirm your appointment.
I'm happy to confirm that you're booked.
This is to confirm your visit on Monday.
Treatment starts on Monday.
We'll begin your treatment next week.
The agreement is in force.
It's official, you're our patient.
From today you're covered by our plan.
Management approved it.
The dentist has approved your plan.
Your application was successful.
Your request has been processed.
Your booking code is HQ-331.
Confirmation number: 88213
Ticket 7741 opened for you.
Reply YES to confirm your appointment.
Reply YES and it's booked.
By replying you accept the terms.
Consider yourself a patient.
Consider the appointment made.
Thursday at 2 is yours.
Thursday at 2 it is.
Right, Thursday at 2 then.
See you Thursday at 2.
We'll be waiting for you on Thursday.
We'll expect you at 2.
Dr will see you at 2 on Thursday.
Just turn up at 2 and you'll be seen.
You can come in at 9:15 tomorrow, it's reserved.
Your seat is waiting.
No need to do anything else, it's all taken care of.
It's been taken care of.
I've sorted everything: registration, payment and date.
Your payment has cleared.
We've received your deposit.
Payment successful.
Thanks for booking with us!
Thank you for choosing the plan, you're signed up.
Thanks for signing up!
Welcome as a new patient, you're enrolled.
Your membership has been renewed.
I upgraded your plan.
Your cancellation is done.
It's cancelled, don't worry.
Your appointment has been brought forward.
I've swapped your slot.
I'll have the dentist ready for you at 9.
The team is ready for you tomorrow at 9.
Everything is in place for Monday.
Everything's set for Monday.
We're set.
We are agreed, then.
Then we agree.
That's a yes from us.
It's a yes.
Yes, we accept those terms.
Terms accepted.
Contract executed.
The paperwork is signed.
I have your signature, we're done.
Your parcel has been delivered.
The package was dropped off.
Your driver is arriving.
The technician will be there at 3.
We'll pick it up at 4.
""")
NEGOTIATIONS_EN = lines("""
I can take your counter-offer upstairs and they'll accept.
If you sign today I can improve the terms.
There's some flexibility on the fee.
There's room to negotiate.
We have special terms for new patients.
We could meet you halfway on the price.
We'll find a figure that suits you.
What figure would work for you?
How much were you hoping to pay?
I'll add a free retainer.
A once-only chance, for a limited time.
The promotional rate ends tomorrow.
Only a few places left at this rate.
""")
PROMISES_EN = lines("""
Rest assured, you'll be seen today.
I personally guarantee the result.
If we're late you don't pay.
The dentist will fix it in one visit, no doubt.
Treatment will be finished by Christmas.
You will have an answer within an hour.
Someone will call you in a few minutes.
You'll have a perfect smile.
There is zero chance of pain.
It never fails.
""")
OPENINGS = (
    "Os valores são com a equipe, mas entre nós:",
    "Entendo perfeitamente a sua pressa.",
    "Não costumo fazer isso, mas",
    "O escritório atende das 8h às 18h.",
    "Obrigado por esperar!",
)
OPENINGS_EN = (
    "I understand your hurry.",
    "I don't usually do this, but",
    "Fees are with the front desk, though",
    "Thanks for waiting!",
)
PRICES = (*filled(PRICE_FRAMES, AMOUNTS, each=4), *opened(OPENINGS, PRICES_PT))
PRICES_IN_ENGLISH = (*filled(PRICE_FRAMES_EN, AMOUNTS_EN, each=3), *opened(OPENINGS_EN, PRICES_EN))
FORBIDDEN_PT = (*PRICES, *CLOSINGS_PT, *opened(OPENINGS, CLOSINGS_PT[::2]), *NEGOTIATIONS, *PROMISES)
FORBIDDEN_EN = (
    *PRICES_IN_ENGLISH,
    *CLOSINGS_EN,
    *opened(OPENINGS_EN, CLOSINGS_EN[::3]),
    *NEGOTIATIONS_EN,
    *PROMISES_EN,
)

HARMLESS = lines("""
Boa tarde! O nosso escritório recebe de segunda a sexta, entre 8h e 18h, e nas manhãs de sábado, entre 9h e 12h.
Entendo a sua pressa. As coletas acontecem até as 20h nos dias de semana e até as 14h aos sábados.
Claro, o endereço é Avenida Francisco Glicério, 1240, sala 32, Centro, Campinas, CEP 13012-100.
O telefone para falar com a operação é o (19) 3255-4180.
Você também encontra a gente pelo e-mail contato@pyloto.com.br ou pelo site https://pyloto.com.br.
O limite para moto é de 12 kg, porque o baú tem 45 x 40 x 40 cm.
Para volumes maiores usamos utilitário, que leva até 500 kg e peças de até 2 metros.
As cidades atendidas nas entregas são Campinas, Valinhos, Vinhedo, Sumaré, Hortolândia, Paulínia e Indaiatuba.
As visitas técnicas cobrem Campinas, Valinhos, Vinhedo, Paulínia e Jundiaí.
O suporte a distância atende o Brasil inteiro, de segunda a sexta, das 8h às 18h.
A Pyloto nasceu em 2019, em Campinas, com entregas de moto.
Uma demonstração do CRM dura 40 minutos, é por vídeo e acontece de terça a quinta, das 10h às 17h.
São cinco módulos: Conversas, Contatos, Funil, Tarefas e Relatórios.
Depois da proposta, a implantação inclui treinamento em três encontros.
Trabalhamos em ciclos de duas semanas nos projetos sob medida.
Não temos atendimento aos domingos nem nos feriados nacionais.
Hoje é sábado, então o escritório fica até as 12h.
Como hoje é domingo, a equipe responde na segunda a partir das 8h.
O telefone funciona de segunda a sexta, das 8h às 18h.
A equipe de tecnologia está disponível das 9h às 18h nos dias de semana.
Infelizmente não posso informar valores por aqui. Uma pessoa da equipe prepara a proposta para o seu caso.
Quem define preço, prazo e forma de pagamento é a equipe; eu só encaminho.
Não sou eu quem fecha contratos, mas encaminho a sua conversa com tudo anotado.
Entendo que queira fechar logo. Vou chamar uma pessoa da equipe para isso.
Não está confirmado ainda: quem confirma é a equipe.
Ainda não há nada agendado; a equipe entra em contato por aqui.
Não consigo dizer se a entrega chegou, mas a operação consegue.
Não é possível confirmar pagamento por mensagem.
Não dou descontos nem faço promoções, isso é com a equipe.
A condição de pagamento é tratada diretamente com uma pessoa da equipe.
Nenhum valor é passado por este canal.
Sobre concorrentes, prefiro não comentar.
Não tenho como comparar preços.
Não posso prometer que chega hoje.
Sem promessa de prazo: depende da rota.
A garantia é um assunto para a equipe.
Você perguntou sobre preço: isso a equipe responde. E sobre o horário: abrimos às 8h.
Me desculpe pelo inconveniente. Vou passar sua conversa para alguém da equipe verificar.
Sinto muito que o seu pedido tenha atrasado. A operação vai verificar.
Já avisei a equipe, e uma pessoa continua por aqui.
Passei a sua conversa para a equipe.
Tudo que você contou segue junto, não precisa repetir.
Anotei: coleta em Campinas, destino em Vinhedo, um pacote de documentos.
Então são documentos de Campinas para Valinhos, certo?
Para eu encaminhar direitinho: qual é o nome da empresa?
Quantos equipamentos seriam, mais ou menos?
O problema começou quando?
O computador liga ou fica com a tela preta?
Pode descrever o que aparece na tela?
Qual processo vocês querem melhorar?
Vocês já usam algum ERP?
A equipe vai querer saber quem usa o sistema no dia a dia.
Quem decide sobre o sistema aí?
Qual é o melhor período para receber um técnico: manhã ou tarde?
Existe um horário melhor para a coleta?
O pacote é frágil?
Vai algum alimento? Se for, precisa ir lacrado.
Transporte de animais a gente não faz.
Não fazemos transporte de passageiros.
Lamento, não atendemos esse tipo de serviço. Falamos de entregas, serviços de campo, tecnologia e CRM.
Não entendi bem. Pode explicar de outro jeito?
Acho que não entendi a última parte.
Pode repetir o bairro, por favor?
Certo, deixei anotado o bairro.
Recebi o áudio, mas ainda não consigo abrir esse tipo de mensagem.
Sou o atendimento automático da Pyloto e chamo uma pessoa quando você quiser.
Obrigado por avisar que não vai precisar mais.
Que bom saber!
Ótimo, vamos por partes.
Vamos lá: primeiro, de onde sai o pacote?
Bem-vindo! Como posso ajudar?
Bem-vindo de volta!
Fique à vontade para perguntar.
Estou à disposição.
Bom fim de semana!
Até mais!
Até logo, e obrigado pelo contato.
Um abraço!
Feliz em ajudar.
De nada, Marcela.
Pode contar o que precisa.
Pode deixar, passo o recado para a equipe.
Pode deixar que encaminho.
Pode ser por mensagem mesmo.
Sim, fazemos integração entre ERP e loja virtual.
Sim, o aplicativo pode ser para Android e iOS.
Sim, o CRM funciona no celular.
Não, o CRM não emite nota fiscal.
Não, não fazemos site de apostas.
Sim, os dados podem ser exportados em planilha a qualquer momento.
Cada módulo pode ser usado sozinho.
A manutenção do sistema é feita pela mesma equipe que o construiu.
O código é do cliente.
O plano preventivo tem visita mensal e relatório.
Fora do horário só atendemos clientes com plano de manutenção.
O nome do técnico é sempre informado antes da visita.
O entregador traz comprovante com nome de quem recebeu, horário e foto.
Rotas fixas podem ser diárias, semanais ou em dias combinados.
Fazemos malote entre filiais.
Para fornecedores, o e-mail é contato@pyloto.com.br.
A nossa política de privacidade está em https://pyloto.com.br/privacidade.
Não guardamos mercadoria em depósito.
Não compramos produtos em nome do cliente.
Não recuperamos senhas de terceiros.
""")
ECHOES = (
    ("o concorrente me cobra 80 por entrega", "Entendi. Valores são com a equipe; vou encaminhar a sua conversa."),
    ("tenho 120 entregas por mês", "Obrigado, anotei 120 entregas por mês. De onde elas saem?"),
    ("preciso instalar 16 câmeras em Jundiaí", "Entendi: 16 câmeras em Jundiaí. Qual é o bairro?"),
    ("minha reunião é 11h30", "Certo, passo para a equipe que você tem reunião às 11h30."),
    ("nosso site é www.flordelis.com.br", "Obrigado, anotei www.flordelis.com.br."),
    ("trabalho na Metalúrgica Andrade", "Obrigado! Qual é a sua função na Metalúrgica Andrade?"),
    ("moro na av brasil 2500 ap 71", "Anotei Av. Brasil, 2500, ap 71. É a coleta?"),
    ("quebrou dia 3 de maio", "Entendi, desde 3 de maio. O trabalho está parado?"),
    ("são 2 servidores dell", "Certo, 2 servidores Dell. Em que cidade?"),
    ("uso o Omie", "Entendi, hoje vocês usam o Omie. O que incomoda mais?"),
)
HARMLESS_HARBOUR = lines("""
Good morning! The clinic is open Monday to Thursday from 8:30 am to 5:30 pm, and on Friday until 1 pm.
The clinic closes at 5:30 pm on Thursdays.
You can reach the front desk on 01326 555 014 during opening hours.
We are at 14 Custom House Quay, Falmouth, TR11 3JT.
A first visit takes 45 minutes and includes an examination.
Your first visit would take about 45 minutes.
The orthodontist works on Tuesdays and Wednesdays between 9 am and 4 pm.
Urgent cases are seen on weekday mornings, 8:30 am to 10 am.
Please don't wait if the swelling spreads: call 999.
At night, NHS 111 can advise you by telephone.
I understand you would like a price. The front desk explains fees once they know what you need.
Unfortunately I can't tell you what it costs.
I'm not able to confirm an appointment in this chat.
Only the front desk can make or change appointments.
Your appointment hasn't been changed; the front desk has to do that.
I can't say whether it will hurt, but we stop when you raise a hand.
I can't judge a photograph, I'm sorry.
We see children and adults for check-ups.
Would you like me to pass this on?
I'll let the front desk know.
I have passed your message on.
They can see what you wrote, so there's no need to repeat it.
Who would the braces be for?
When did the pain start?
Is it a new filling or an old one?
Do you have any medical condition a dentist should hear about at the front desk?
You're very welcome.
Take care, and thank you for writing.
The clinic has been on the quay since 1998.
We have a small front desk, three dentists and two hygienists.
We do not carry out examinations under general anaesthetic.
Retainers come after the braces.
The scan and photographs come first, then a written plan.
Welcome back! How can I help today?
That's something for the front desk.
Payment plans are a matter for the front desk.
We can't help with breathing difficulty; please call 999.
It depends on what the dentist finds.
We're closed on bank holidays.
On Friday afternoon we are closed.
""")
FALSE = lines("""
Boa tarde! O nosso escritório recebe de segunda a sexta, entre 8h e 19h30, e nas manhãs de sábado, entre 9h e 12h.
Entendo a sua pressa. As coletas acontecem até as 22h nos dias de semana.
Entendo a sua pressa. Aos sábados as coletas acontecem até as 16h.
Claro, o endereço é Avenida Francisco Glicério, 1240, sala 302, Centro, Campinas.
Claro, o endereço é Rua Barão de Jaguara, 1240, Centro, Campinas.
Claro, o endereço é Avenida Francisco Glicério, 1240, sala 32, CEP 13012-001.
O telefone para falar com a operação é o (19) 3255-4108.
O telefone do plantão é o (19) 99655-4180.
Você também encontra a gente pelo e-mail comercial@pyloto.com.br.
Você também encontra a gente pelo site https://www.pyloto-crm.com.br.
O limite para moto é de 14 kg, porque o baú tem 45 x 40 x 40 cm.
O baú tem 55 x 40 x 40 cm.
Para volumes maiores usamos utilitário, que leva até 1.000 kg.
Levamos peças de até 5 metros.
As cidades atendidas nas entregas são Campinas, Valinhos, Americana e Indaiatuba.
As visitas técnicas cobrem Campinas, Jundiaí e Itatiba.
O suporte a distância atende todos os dias, das 8h às 22h.
A Pyloto nasceu em 2012, em Campinas.
A Pyloto nasceu em 2019, em Ribeirão Preto.
Uma demonstração do CRM dura 90 minutos.
As demonstrações vão de segunda a sexta, das 10h às 17h.
As demonstrações são das 8h às 12h.
São sete módulos.
Os módulos são Conversas, Contatos, Funil, Tarefas, Relatórios e Financeiro.
A implantação inclui treinamento em seis encontros.
Trabalhamos em ciclos de três semanas.
Atendemos aos domingos, das 9h às 12h.
Hoje é sábado, então o escritório fica até as 18h.
O telefone funciona 24 horas por dia.
A equipe de tecnologia está disponível das 7h às 18h.
As visitas técnicas vão até as 18h30.
O Pyloto Cargo atende volumes maiores.
O Pyloto Insights gera gráficos.
O Pyloto Chat responde sozinho.
O plano Corporativo inclui tudo isso.
O pacote Plus tem mais usuários.
Nosso aplicativo Entrega Fácil mostra a rota.
Temos integração pronta com SAP.
Temos integração nativa com o Tiny e a Nuvemshop.
O CRM se conecta ao Instagram e ao Telegram.
Somos parceiros oficiais da Meta.
Somos revendedores Dell.
Usamos câmeras Hikvision.
Trabalhamos com a transportadora Jadlog.
Fazemos mudanças de casa.
Transportamos medicamentos controlados com escolta.
Levamos dinheiro em espécie com segurança.
Guardamos sua mercadoria por até 30 dias.
Emitimos nota fiscal pelo CRM.
Temos versão instalada em servidor próprio.
Migramos as conversas antigas do seu celular.
Fazemos disparo em massa pelo CRM.
Desbloqueamos celulares.
Consertamos geladeiras e elevadores.
Fazemos entregas para o Paraná.
Fazemos entregas internacionais.
Temos unidade em Belo Horizonte.
Nossa filial de Jundiaí recebe os pacotes.
Temos um centro de distribuição em Paulínia, com 2.000 m².
Quem vai te atender é a Camila.
A coordenadora Renata Alves confirma a rota.
O Felipe, nosso técnico, resolve isso.
Procure o Sérgio na recepção.
O celular do técnico é 19 98111-2233.
O e-mail da Camila é camila@pyloto.com.br.
O prazo de entrega é de 4 horas.
A instalação é feita em 2 dias úteis.
O diagnóstico leva uma semana.
O projeto médio dura 90 dias.
A equipe retorna em 30 minutos.
O técnico chega em até 3 horas.
A garantia do serviço é de 6 meses.
Você pode cancelar em até 7 dias.
O teste dura 14 dias.
Estaremos fechados de 24 a 26 de dezembro.
Na véspera de Natal atendemos até as 13h.
Dia 7 de setembro abrimos normalmente.
A promoção começa em 1º de junho.
O evento é no dia 18 às 19h.
Fomos fundados em 14 de março de 2016.
Temos 85 funcionários.
Temos 22 motos e 6 utilitários.
Mais de 1.200 empresas confiam na gente.
Fazemos 3.000 entregas por mês.
97% das entregas chegam no prazo.
Nosso CNPJ é 34.567.890/0001-22.
Temos certificação ISO 27001.
Ganhamos o prêmio Campinas Inovadora.
Siga nosso perfil @pylotocampinas.
Veja o vídeo em https://youtu.be/abc123.
O formulário está em https://forms.gle/xyz987.
Baixe o app em https://play.google.com/store/apps/pyloto.
O portal do cliente é https://portal.pyloto.com.br.
Preencha em https://pyloto.com.br/cadastro.
Pague em https://pyloto.com.br/pagamento.
Fale no Telegram: @pyloto_bot.
O ramal da tecnologia é 12.
O WhatsApp da operação é +55 19 99700-1122.
O telefone gratuito é 0800 123 4567.
O estacionamento conveniado é na Rua Dr. Quirino, 55.
O escritório é no 12º andar.
Entrada pela Rua Ferreira Penteado.
Fica a 200 metros da Catedral.
Fica em frente ao Mercado Municipal, box 14.
Boa tarde! De moto levamos até 12 kg e, de utilitário, até 550 kg. Qual o peso do pacote?
Sim, atendemos Paulínia. Nas entregas o horário vai até as 21h durante a semana. O que seria levado?
A demonstração dura 40 minutos, de terça a quinta, das 9h às 17h. Quantas pessoas usariam?
O escritório fica no Centro e o CEP é 13012-110. Quer a localização?
O suporte do CRM atende aos sábados, das 9h às 14h. Qual é o nome da empresa?
""")
FALSE_HARBOUR = lines("""
The clinic is open Monday to Thursday from 8 am to 5:30 pm.
The clinic is open on Friday until 2 pm.
The clinic closes at 6:30 pm on Thursdays.
You can reach the front desk on 01326 555 140.
We are at 14 Custom House Quay, Falmouth, TR11 3JY.
We are at 16 Custom House Quay.
A first visit takes 50 minutes.
Later visits take 25 minutes.
The orthodontist works on Mondays and Fridays.
The orthodontist works on Tuesdays between 10 am and 5 pm.
Urgent cases are seen until 11 am.
Urgent cases are seen on Saturdays.
Aligners are changed every month, on day 5.
Six dentists work here.
The clinic has been here since 1989.
We also have a clinic in Plymouth.
Dr Emily Carter is our orthodontist.
Mr Jones at the desk will help.
We offer implants and veneers.
We use the brand Invisalign.
We work with Bupa and Denplan.
Our plan SmileCare covers that.
Surgery is done at Derriford Hospital.
Our website is harbourdental.co.uk.
Book at harbourdental.example/book.
Email desk@harbourdental.example.
We're on Facebook at facebook.com/harbourdental.
The WhatsApp is +44 7700 900456.
Braces take 2 years.
Recovery takes 3 days.
""")
