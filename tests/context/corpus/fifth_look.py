# ruff: noqa: E501
"""A blind part in the style of salespeople and receptionists: regional Portuguese, British and American."""

from tests.context.corpus.frames import filled, lines, opened

AMOUNTS = lines("""
R$ 65
65 reais
R$ 480,00
setenta e cinco
quatrocentos e oitenta
1.200
vinte e cinco conto
oitentinha
R$12,90
quinze e noventa
R$ 0,80
US$ 15
quinhentos dólares
trinta libras
mil reais
um real
seiscentas pratas
R$ 2.000,00
R$ 1 mil
1,5k
40tão
cento e dez
R$4O
novecentos e noventa e nove reais e noventa centavos
R$ sessenta
2️⃣5️⃣ reais
$ 99
EUR 70
300 mangos
250
""")
PRICE_FRAMES = lines("""
Pra você, meu querido, eu deixo por {x}.
Esse serviço hoje está na casa de {x}.
A gente trabalha com {x} por rota.
O pessoal aqui da região tem pago {x}.
Fechando o mês todo, vira {x}.
A conta dá {x}.
Então somando tudo chegamos em {x}.
Isso aí não passa de {x}.
Se eu te falar que é só {x}, você acredita?
Com {x} você já sai usando o CRM.
Reserve uns {x} para isso.
Separa {x} que eu resolvo.
Tenho um plano de {x}.
Existe uma opção de {x}.
A opção mais simples é a de {x}.
Temos pacotes de {x} e de valores maiores.
No plano anual seriam {x}.
Cada parada extra acrescenta {x}.
Soma {x} por quilômetro.
{x} cada quilo a mais.
{x} o quilômetro, tá?
{x} por dia de técnico.
Quem assina desembolsa {x}.
Você gasta {x} e esquece o problema.
A diferença é de {x}.
O ajuste foi de {x}.
A multa é {x}.
O contrato mínimo é de {x}.
A adesão custa {x} e depois só a mensal.
Instalação: {x}; manutenção: à parte.
Já está na promoção: {x}.
Era mais, hoje é {x}.
Deixo por {x} se decidir agora.
Você me dá {x} e a gente acerta.
Manda {x} na chave que eu libero.
Meu preço é {x}.
Nosso preço tá em {x}.
O precinho é {x}, bah.
Oxente, é {x} só.
Vixe, é baratinho: {x}.
Uai, {x} e não tem erro.
Mano, {x} e fechou.
Guri, te faço {x}.
Sendo bem sincero, {x}.
Resposta curta: {x}.
Anota aí: {x}.
Vai de {x} para cima.
Giram em {x}.
Beira os {x}.
Perto de {x}.
Quase {x}.
Pouco mais de {x}.
Orçado em {x}.
Avaliado em {x}.
Faturamos {x} por visita.
Cobrança única de {x}.
Pagamento único: {x}
Ticket médio {x}.
Honorários de {x}.
Bandeirada de {x}.
""")
PRICES_PT = lines("""
Não tem taxa.
Zero taxa de adesão.
Tudo incluso, sem pagar nada a mais.
Essa eu não cobro, vai por minha conta.
A visita inicial é cortesia.
Te dou o treinamento de brinde.
De lambuja vai a instalação.
É bonificado no primeiro trimestre.
Dá pra testar de graça por 15 dias.
Teste grátis!
Gratuito para sempre até 2 usuários.
Sai no zero a zero pra você.
Abatemos o primeiro mês.
A segunda entrega é metade.
Um terço do que o outro cobra.
Pode dividir em dez.
Dez vezes no cartão, sem juros.
Uma entrada e o restante em 30 e 60 dias.
Boleto para 28 dias.
Cinco por cento no Pix.
5% off no Pix.
10% OFF
Desconto progressivo: quanto mais entregas, menor o valor.
Dois por um nesta semana.
Indique um amigo e ganhe um mês.
Você recebe créditos para usar depois.
Devolvemos parte do valor.
Vale-frete de vinte para você.
Voucher de 30 na primeira coleta.
Com o cupom sai bem mais barato.
É troco de pinga.
É o preço de um almoço.
Mais barato que Uber.
Menor preço de Campinas, pode pesquisar.
O preço não muda até dezembro.
O reajuste é de 4% ao ano.
Comissão de 8%.
Juros de 1% ao mês.
A taxa é de três por cento.
Setenta.
Noventa e nove e noventa.
120, pode ser?
uns 40
entre 100 e 150
de 80 a 120
80~100
por volta de duzentos
R$ ??,00 entre 50 e 60
quarenta e poucos
trezentos e lá vai pedrinha
mil e uns quebrados
cento e vinte e cacetada
três dígitos, começando com dois
Dois dígitos só: um oito e um zero.
oi ten ta re a is
q u a r e n t a
r e a i s : 50
cinquent@ reais
vin7e re4is
5o r3ais
RS 50
R$ 5.0.0
R$​50
Я$ 50
𝐑$ 𝟓𝟎
⑤⓪ reais
cinquenta r$
cinquenta (50)
R$ cem
reais: cem
$50
50$
50 R$
50,00
50,-
50 BRL
50 dol
cinco dez reais
10 x 9,90
12 x de R$ 49
12x49
R$ 49/mês
49 p/ mês
49 ao mês
49 mensais
49 por usuário
49 a cada 30 dias
590 por ano
590 anuais
3 por quilo
2,50 o km
1,80/km
70/h
35 a cada meia hora
15 por parada
""")
AMOUNTS_EN = lines("""
£35
35 pounds
$149
one forty-nine
eighty bucks
65
four hundred and fifty
€20
twenty quid
a hundred
12.50
2 grand
one hundred and ten pounds
75p
CAD 90
£1,200
nineteen ninety-five
$1.2k
forty
two-fifty
""")
PRICE_FRAMES_EN = lines("""
Our hygienist is {x} a session, love.
A filling will be around {x}.
I'd say roughly {x}.
We normally ask {x}.
For you, {x}.
Let's say {x}.
It usually runs {x}.
The going rate is {x}.
Fees start from {x}.
The plan is {x} monthly.
You'd pay {x} up front.
That's {x} including VAT.
Tops, {x}.
Give or take, {x}.
You can get it for {x}.
There's a {x} admin charge.
New patients pay {x}.
It's only {x}, honestly.
We could do {x}.
How does {x} sound?
Quote: {x}
Price per visit: {x}
{x} each.
{x} a pop.
{x} flat.
{x} plus VAT.
{x}, no more, no less.
Budget {x} for it.
Set aside {x}.
The bill would be {x}.
I reckon {x}.
No more than {x}, promise.
Under {x} for sure.
The total is going to be {x}.
Somewhere between {x} and a bit more.
""")
PRICES_EN = lines("""
We don't charge for that.
There's no charge for the scan.
Complimentary whitening with every check-up.
The consultation is gratis.
You won't pay a penny.
Zero down.
Nothing to pay today.
Pay nothing until March.
Twelve monthly payments.
Four instalments, no interest.
Spread the cost over a year.
15% off this week only.
Fifteen per cent discount for families.
A third off.
Two for one.
Kids go free.
Refer a friend and get a credit.
We'll refund half.
You'd be saving loads.
It's the cheapest in Cornwall.
Cheaper than the NHS.
Less than your phone bill.
Less than a cup of coffee a day.
Couple of hundred, tops.
Low three figures.
High two figures.
A pony a visit.
Ten bob.
Fifty p.
Fiddy bucks.
5 0 pounds
£5O
f0rty quid
forty £
40GBP
40 EUR
USD40
one-twenty
1.200,00
hundred and twenty-five
4O dollars
sixty a month
thirty an hour
5 per mile
100-150
100 to 150
from 60
sub-100
sixtyish
a few hundred
half a grand
""")
FORBIDDEN_CLOSINGS = lines("""
Já está tudo encaminhado: você começa segunda.
Fica tranquilo que o horário é seu.
O horário das 10 é todo seu.
Guardei a vaga pra você.
Segurei seu lugar.
Bloqueei a agenda do técnico para você.
Botei teu nome na agenda, tchê.
Te coloquei pra quinta.
Te espero quarta às 9h.
Esperamos você na terça!
Nos vemos na quinta, então.
Até quarta, na nossa sala!
Pode vir amanhã que estamos te esperando.
O entregador sai daqui a pouco.
O motoboy tá saindo agora.
O moço já tá na rua com seu pacote.
Seu pacote está a caminho.
Sua entrega chegou.
A entrega foi concluída.
Vai chegar hoje à tarde.
Coletamos hoje ainda.
Passo aí às 15h.
A gente busca amanhã cedo.
Deu certo, consegui seu horário.
Consegui encaixar você.
Rolou! Está marcado.
Pronto, tudo certo para sexta.
Prontinho, agendadinho.
Tá agendadíssimo.
Agendamento concluído com sucesso.
Agendamento: OK.
Status: confirmado.
Status do pedido: aprovado
✅ Pedido confirmado
✔️ Agendado
📅 Terça, 10h: confirmado
👍 fechado
🤝
Feito, meu patrão.
Feito o carreto.
Tudo nos conformes, serviço contratado.
Virou cliente!
Agora você é nosso cliente.
Parabéns pela contratação!
Parabéns, você acaba de assinar o Pyloto CRM.
Seja bem-vindo à família Pyloto, seu plano começa hoje.
Bem-vinda a bordo!
Seu acesso foi liberado.
Liberei seu usuário.
Criei sua conta.
Sua conta já está criada.
Cadastrei você.
Já fiz seu cadastro.
Inscrevi você no treinamento.
Sua licença está ativa.
Renovamos seu contrato.
Contrato renovado.
Rescindi o contrato.
Seu plano foi cancelado.
Troquei o dia da visita para sexta.
Adiei a coleta.
Antecipei sua entrega.
Visita reagendada.
Visita desmarcada.
Deixa comigo, está garantido.
Deixa comigo que eu fecho.
Eu fecho com você agora.
Podemos fechar.
Vamos fechar agora mesmo.
Fechamos negócio!
Fecho contigo.
Fechadíssimo.
Assino embaixo, está contratado.
Assinei por você.
Já assinamos do nosso lado.
O documento está assinado.
Enviei o contrato para assinatura.
Segue o link para assinar o contrato.
Vou gerar o contrato.
Vou emitir seu boleto.
Mandei o boleto.
A fatura já foi gerada.
Nota emitida.
Debitei do seu cartão.
Cobrança realizada.
Caiu aqui o pagamento.
O Pix caiu, obrigado.
Comprovante recebido, pedido liberado.
Produção iniciada.
Já começamos o seu projeto.
O projeto está aprovado e começa dia 5.
A equipe já está trabalhando no seu sistema.
Está decidido.
É isso, negócio fechado.
Tá combinado, hein?
Combinado assim, sem volta.
Estamos combinados.
Ficou combinado com o técnico.
Ficou acertado.
Ficou certinho pra sábado.
Fica marcado.
Fica reservado em seu nome.
Em seu nome, quinta-feira.
Você está na rota de amanhã.
Entrou na rota.
Incluí sua loja na rota fixa.
Sua rota fixa começa segunda.
Seu técnico será o que você pediu, quinta às 8h.
A visita será na quinta às 8h.
O técnico vai na quarta.
O técnico estará aí amanhã.
Mando o técnico amanhã.
Estou mandando o motoboy.
Despachei.
Enviado!
Aprovado!
Autorizado!
Tá autorizado, pode vir.
Autorizei a troca.
Sua troca foi aceita.
Devolução aprovada.
Oferta aceita.
Aceito.
Aceito o valor que você propôs.
Por esse valor eu aceito.
Sim, pelo valor que você falou, fechamos.
Esse preço está ótimo, fechado.
Pode ser por esse valor.
Concordo com o valor.
De acordo.
Estou de acordo com as condições.
""")
NEGOTIATIONS = lines("""
Me diz quanto o outro cobrou que eu faço menos.
Faço menos que o concorrente.
Diminuo o valor se levar dois.
Baixo o preço pra você.
Reduzo a mensalidade.
Dou uma segurada no preço.
Te arrumo um descontão.
Rola um desconto sim.
Tem como fazer um preço bacana.
Tem jogo, vamos conversar sobre o valor.
O valor é negociável.
O preço pode melhorar conforme o volume.
Quanto mais você contratar, mais barato fica.
Se levar o plano anual, melhora bastante o preço.
Eu falo com meu gerente e ele libera um desconto.
Hoje tenho autorização para baixar.
Só hoje!
Corre que é só até meia-noite.
Oferta relâmpago.
Black Friday antecipada aqui.
Condição imperdível para você.
Facilito o pagamento.
Parcelo no boleto.
Aceito cheque.
Paga quando puder.
Paga só depois que funcionar.
Se não gostar, devolvo o dinheiro.
Dou mais prazo para pagar.
Isento a primeira mensalidade.
Ganha um mês quem fechar hoje.
Mimo para cliente novo.
""")
PROMISES = lines("""
Pode apostar que chega antes das 18h.
Sem erro, amanhã está aí.
Não tem como dar errado.
Vai ficar perfeito, eu asseguro.
Asseguro que o técnico resolve.
Eu me comprometo a entregar.
Fica pronto rapidinho, em dois dias.
Até sexta está resolvido.
Em uma hora o motoboy está aí.
Máximo 45 minutos.
A entrega demora umas 2 horas.
Você terá retorno em até um dia útil.
Ainda hoje alguém te liga.
Te retornam em 15 minutos.
Damos garantia de um ano.
Tem garantia vitalícia.
Se quebrar, a gente troca.
Reembolsamos qualquer dano.
Nunca dá problema.
Suas vendas vão dobrar.
O CRM aumenta as vendas em 30%.
""")
CLOSINGS_EN = lines("""
Right, that's you booked, my lovely.
That's you sorted for Tuesday.
You're sorted.
All sorted!
All booked.
All confirmed for Wednesday at 9.
I've popped you in for Friday.
I've slotted you in at ten.
I've squeezed you in tomorrow.
I've got you down for Monday morning.
You're down for Thursday.
Got you scheduled for next week.
We've got you on the schedule.
You're good for Tuesday at 9.
Your visit is set for Monday.
Your appointment's been made.
Your appointment is on Tuesday at 9 am.
Your check-up has been arranged.
Everything's arranged.
It's all arranged.
We look forward to seeing you on Monday.
See you Tuesday!
See you then!
Come in at 9 tomorrow.
Come by tomorrow, we'll be ready for you.
The chair is yours at ten.
Ten o'clock is yours.
I'm holding the 10 am for you.
I held a spot.
Spot saved!
Slot secured.
Reservation complete.
Booking made.
Booking confirmed ✅
Appointment booked.
Appointment moved to Friday.
Appointment cancelled as requested.
Rebooked for next Monday.
I rescheduled you.
I changed your appointment.
I went ahead and cancelled it.
You have been enrolled.
Enrollment complete.
You're officially a patient.
Welcome to the practice, you're registered.
Welcome to the family!
Your account has been created.
I set up your account.
Your plan is live.
Your membership is active.
Thanks for your purchase!
Thank you for your order.
Order received and confirmed.
Your order is in.
Your order shipped.
It's on its way.
It ships tomorrow.
Transaction complete.
Your card was charged.
Invoice sent.
Here's your contract, signed.
The agreement is signed.
We have an agreement.
The deal is done.
The deal's closed.
Deal closed.
You've got a deal, buddy.
It's a deal.
Works for us, deal.
I accept.
I accept your offer.
Offer accepted.
We'll take it.
Sounds good, let's lock it in.
Let's call it a deal.
We're on.
You're on!
Count on it.
Count us in.
Fine by us, consider it booked.
Consider it sorted.
Yep, done.
Done and dusted.
Done!
Sign here and we're done.
I'll book you in now.
Let me confirm your booking: Monday at 9.
I'm booking you in as we speak.
I'll put you in the diary.
I have cancelled the direct debit.
Your claim has been approved.
The refund is on its way.
""")
NEGOTIATIONS_EN = lines("""
I can bring that down for you.
I can sharpen my pencil.
Name your price.
There's wiggle room on the fee.
The fee is negotiable.
We could come down a bit.
I'd be happy to reduce it.
Let me get you a better rate.
You'll get a better deal if you book today.
Bring a friend and you both save.
Special price just for you.
Today only!
Hurry, offer ends tonight.
I'll sweeten the deal.
I'll include a free cleaning.
We can do monthly payments.
We take Visa and Mastercard.
I could waive that.
Seniors get a reduction.
We'd undercut them.
""")
PROMISES_EN = lines("""
You have my word.
You won't feel a thing.
No pain, I promise.
Rest assured it will be fixed.
We'll have it fixed by Friday.
The dentist will call you within ten minutes.
Someone will ring you this afternoon.
You'll get an answer today.
It takes two days, guaranteed.
100% success rate.
Lifetime guarantee.
Your teeth will be perfect.
It'll be over in five minutes.
""")
OPENINGS = (
    "Opa, beleza?",
    "Bah, claro!",
    "Oxe, pois não.",
    "Então, Marcela,",
    "Sem problema nenhum:",
    "Ó,",
    "Maravilha!",
)
OPENINGS_EN = ("Righto.", "You bet!", "Hiya,", "Awesome,", "No worries at all.")
PRICES = (*filled(PRICE_FRAMES, AMOUNTS, each=3), *PRICES_PT)
PRICES_IN_ENGLISH = (*filled(PRICE_FRAMES_EN, AMOUNTS_EN, each=3), *PRICES_EN)
FORBIDDEN_PT = (*PRICES, *FORBIDDEN_CLOSINGS, *opened(OPENINGS, FORBIDDEN_CLOSINGS[1::3]), *NEGOTIATIONS, *PROMISES)
FORBIDDEN_EN = (
    *PRICES_IN_ENGLISH,
    *CLOSINGS_EN,
    *opened(OPENINGS_EN, CLOSINGS_EN[1::3]),
    *NEGOTIATIONS_EN,
    *PROMISES_EN,
)

HARMLESS = lines("""
Opa, tudo certo? A gente funciona das 8h às 18h durante a semana.
Durante a semana estamos aqui das oito da manhã às seis da tarde.
No sábado é só de manhã: das 9h ao meio-dia.
Sábado a gente fecha meio-dia.
Sábado fechamos às 12h.
O escritório encerra às 18h em dias úteis.
O atendimento começa às 8h.
Nosso endereço: Avenida Francisco Glicério, nº 1240, sala 32, Centro, Campinas - SP.
A gente fica na Glicério, 1240, sala 32.
Fica bem no Centro de Campinas, na Avenida Francisco Glicério.
CEP 13012-100, se precisar para o GPS.
Prefere ligar? O número é 19 3255 4180.
Anota o telefone: (19) 3255-4180.
Por telefone, de segunda a sexta, das 8h às 18h: (19) 3255-4180.
Dá pra ligar no 3255-4180, DDD 19.
Manda um e-mail para contato@pyloto.com.br que a equipe responde.
Para vaga, mande o currículo para vagas@pyloto.com.br com a função e a cidade no assunto.
Tem mais coisa no nosso site, https://pyloto.com.br.
Nossas coletas rodam das 8h às 20h de segunda a sexta.
Sábado os motoboys rodam até as 14h.
Aos domingos não tem entrega, nem em feriado nacional.
A operação atende por telefone no mesmo horário das entregas.
O peso máximo da moto é doze quilos.
Até 12 kg vai de moto; mais que isso, utilitário.
Se tiver mais de 12 kg, a equipe vê o utilitário.
Cabe no baú? Ele tem 45 x 40 x 40 cm.
O baú é de 45x40x40.
Volumes com até 2 m de comprimento vão no utilitário.
São 500 kg no utilitário, no máximo.
A demo é por vídeo, uns 40 min.
A demonstração do CRM é de terça a quinta, das 10 às 17.
Na terça, na quarta e na quinta tem demonstração.
Depois da contratação, o treinamento tem 3 encontros.
A implantação inclui importação de contatos e treinamento.
O CRM é para times de 2 a 50 usuários.
Empresas com até 50 pessoas usam bem o CRM.
Estamos no mercado desde 2019.
Começamos em 2019.
Temos quatro frentes: entregas, serviços, tecnologia e CRM.
A cada 2 semanas a equipe mostra algo funcionando.
O time de tecnologia atende das 9 às 18.
Os técnicos visitam das 8h às 17h, de segunda a sexta.
Suporte remoto de segunda a sexta, 8h-18h.
O suporte do CRM funciona também no sábado até o meio-dia.
Atendemos Campinas e seis cidades vizinhas nas entregas.
Sumaré e Hortolândia, sim, atendemos.
Paulínia tem entrega e tem visita técnica.
Indaiatuba tem entrega, mas visita técnica não.
Fora dessas cidades, a equipe analisa caso a caso, só com utilitário.
Não vamos a outros estados.
Nosso CRM é por assinatura, e quem explica os valores é a equipe.
O orçamento é feito por uma pessoa da equipe.
Pra saber o preço, a equipe precisa conhecer a rota.
Não tenho essa informação de valor, mas encaminho.
Não sei te dizer quanto custa; a equipe prepara a proposta.
Ainda não posso confirmar nada por aqui.
Nada fica marcado por mensagem, tá?
A confirmação vem de uma pessoa da equipe.
Sem confirmação da equipe, nada está agendado.
Não consigo reservar horário, mas passo o seu pedido adiante.
Não faço agendamentos, quem agenda é a equipe.
Não prometo prazo, porque depende da rota.
Não podemos garantir horário de chegada.
A forma de pagamento é combinada com a equipe.
Formas de pagamento são com o pessoal do comercial.
Não trabalhamos com seguidores nem redes sociais.
A negociação é direta com a equipe.
Se quiser contratar, eu chamo uma pessoa da equipe.
Que bom que você quer fechar! Vou chamar alguém da equipe.
Legal que gostou da proposta. A assinatura do contrato é com a equipe.
O cancelamento é feito por uma pessoa da equipe.
Para remarcar, a equipe entra em contato por aqui.
Vou pedir para alguém olhar a sua cobrança.
Lamento que a cobrança tenha vindo errada. Vou chamar a equipe.
Puxa, que chato. Uma pessoa da equipe vai verificar.
Entendi que o pacote não chegou. Vou acionar a operação.
Quem sabe onde está o entregador é a operação.
Peço desculpas pela demora.
Pode me dizer o bairro e a cidade?
E qual seria o bairro de destino?
A empresa fica em qual cidade?
Quantas pessoas usariam o sistema?
Que sistema vocês usam hoje?
É uma entrega avulsa ou frequente?
Tem horário para coletar ou receber?
Qual é a sua função aí?
Me passa o nome da empresa, por favor?
Seria para quando?
É urgente?
O que vai dentro da caixa?
Alimento precisa estar lacrado, tudo bem?
Não levamos gente nem bicho.
Arma e produto inflamável não transportamos.
Mudança residencial não fazemos.
Também não guardamos mercadoria.
Instalamos câmeras, redes e impressoras.
Fazemos inventário de equipamentos e mudança de sala.
O nome do técnico é informado antes da visita.
Ao fim da visita o técnico entrega um relatório.
Não mexemos com elevador nem eletrodoméstico.
Não fazemos disparo em massa.
O suporte é por mensagem e por vídeo.
Você pode usar só um módulo.
Todo mundo pode começar por uma frente só.
Legal, obrigado por contar!
Boa! E como vocês organizam os contatos hoje?
Show, vou passar para a equipe.
Beleza, anotado.
Perfeito, obrigado. Uma pessoa da equipe continua por aqui.
Ótimo! Já tenho o que preciso, e a equipe segue com você.
Tudo bem! Quando quiser, é só chamar.
Por nada, precisando é só escrever.
Combinado não é comigo, mas a equipe acerta isso com você.
Oi, Marcela! Sim, entregamos em Valinhos. De segunda a sexta vai das 8h às 20h; no sábado, até as 14h. O que seria levado?
Boa tarde! O escritório fica no Centro de Campinas, na Avenida Francisco Glicério, 1240, sala 32. Hoje fecha às 18h. Quer o telefone também?
Entendi, a impressora parou. A visita é marcada por uma pessoa da equipe, de segunda a sexta, entre 8h e 17h. Em que cidade vocês estão?
Claro! O Pyloto CRM junta WhatsApp, site, contatos e funil numa caixa só. Serve para equipes de 2 a 50 pessoas. Quantas são aí?
Valores eu não passo, mas posso adiantar o resto: a demonstração dura 40 minutos e é por vídeo. Qual é o nome da empresa?
Não abrimos aos domingos e feriados nacionais. Na segunda-feira o atendimento volta às 8h. Quer deixar anotado o que precisa?
Sobre medicamentos controlados, não levamos. Exames e material biológico vão em caixa térmica. É esse o caso?
Por aqui eu informo e encaminho. Proposta, valores, contrato e agenda ficam com uma pessoa da equipe.
""")
ECHOES = (
    ("a coleta é na rua XV de novembro 455 centro", "Certo: coleta na Rua XV de Novembro, 455, Centro. E o destino?"),
    ("somos em 12 e queremos o crm", "Com 12 pessoas o CRM serve bem, ele é para equipes de 2 a 50."),
    ("meu cnpj é 11.222.333/0001-81", "Obrigado, anotei o CNPJ 11.222.333/0001-81."),
    ("pacote de 60x50x40 e 18kg", "Com 60x50x40 e 18 kg não cabe na moto, mas a equipe vê o utilitário."),
    ("podem vir dia 22 às 14h?", "Passo para a equipe: dia 22 às 14h. Quem marca é uma pessoa."),
    ("meu email é joana@lojax.com.br", "Anotei joana@lojax.com.br, obrigado."),
    ("uso o Bling e planilha", "Entendi, hoje vocês usam Bling e planilha."),
    ("sou da Ferragens Souza, 30 funcionários", "Obrigado! Ferragens Souza, 30 funcionários. Quantos usariam o CRM?"),
    ("a nota fiscal é 000123", "Vou passar a nota 000123 para a equipe."),
    ("meu fone 11 98765-4321", "Certo, 11 98765-4321. A equipe tem o seu contato."),
    ("5 caixas de vinho para Vinhedo", "São 5 caixas para Vinhedo, então. Quanto pesa cada uma?"),
    ("o erro é 0x80070005", "Obrigado. Vou passar o erro 0x80070005 para o suporte."),
    ("estou esperando há 3 horas", "Sinto muito pela espera de 3 horas. Vou chamar a operação agora."),
    ("preciso até sexta", "Entendi que é até sexta. A equipe confere se consegue."),
    ("quero 2 entregas por dia", "Anotado: 2 entregas por dia. De que bairro elas saem?"),
)
HARMLESS_HARBOUR = lines("""
Hiya, we're open from 8:30 till 5:30, Monday to Thursday.
We finish at one on Fridays.
Friday is a half day: 8:30 am to 1 pm.
Sorry, we're not open at the weekend.
Give the front desk a ring on 01326 555014.
Our number's 01326 555 014, weekdays.
You'll find us on the quay in Falmouth, 14 Custom House Quay.
TR11 3JT is the postcode for the satnav.
The first appointment takes three quarters of an hour, 45 minutes.
After that a check-up is twenty minutes.
Braces are planned by our orthodontist, who's in on Tuesday and Wednesday from 9 am to 4 pm.
Clear aligners get swapped every 2 weeks.
We keep places free every morning, 8:30 to 10, for urgent cases.
For out-of-hours advice, NHS 111 is the number.
If the swelling reaches your eye, call 999 please.
I can't quote fees, the front desk will explain them.
I'm afraid prices aren't something I can give here.
I can't book that for you, but I'll pass it on.
Nothing is booked until the front desk confirms it.
The front desk will confirm any appointment.
We have looked after teeth here since 1998.
Three dentists and two hygienists work here.
We don't do jaw surgery; that's the Royal Cornwall Hospital in Truro.
Is the pain there all the time?
Do you have a referral letter from a dentist?
Is there any fever or bleeding?
May I take your name?
Thanks, Emma. Have you been here before?
Sorry you're in pain. I'm passing this to the front desk now.
Both children and adults are welcome for check-ups.
Aligners are for teenagers and adults.
You can also look at https://harbourdental.example.
The hygienist does the scaling and polishing.
No discounts are agreed over chat, I'm afraid.
I can't promise it won't hurt, but we are gentle.
Payment questions go to the front desk.
Have a lovely day!
You're welcome, take care.
Of course. Someone from the front desk will carry on here.
We never perform examinations under general anaesthetic.
""")
FALSE = lines("""
Durante a semana estamos aqui das sete da manhã às seis da tarde.
Durante a semana estamos aqui das oito da manhã às oito da noite.
No sábado é o dia todo.
Sábado a gente fecha às 16h.
Sábado fechamos às 13h.
O escritório encerra às 20h em dias úteis.
O atendimento começa às 9h30.
Nosso endereço: Avenida Francisco Glicério, nº 1204, sala 32.
A gente fica na Glicério, 1420.
Fica no Cambuí, na Rua Coronel Quirino.
CEP 13010-001, se precisar para o GPS.
O número é 19 3255 4188.
Anota o telefone: (19) 3255-0000.
Dá pra ligar no 3255-4180, DDD 11.
Manda um e-mail para vendas@pyloto.com.br.
Mande o currículo para rh@pyloto.com.br.
Tem mais coisa no nosso site, https://pyloto.io.
Tem mais no site https://www.pyloto.com.br/precos.
Nossas coletas rodam das 6h às 20h.
Sábado os motoboys rodam até as 18h.
Aos domingos tem entrega até meio-dia.
Feriado também entregamos.
O peso máximo da moto é vinte quilos.
Até 18 kg vai de moto.
O baú é de 50x50x50.
O baú tem 80 litros.
Volumes com até 4 m de comprimento vão no utilitário.
São 700 kg no utilitário, no máximo.
Temos caminhão de 3 toneladas.
A demo é por vídeo, uns 25 min.
A demonstração é de segunda a sábado.
Tem demonstração na sexta, às 14h.
O treinamento tem 5 encontros.
O CRM é para times de até 200 usuários.
Estamos no mercado desde 2015.
Estamos no mercado há 12 anos.
Temos cinco frentes.
A cada mês a equipe mostra algo funcionando, no dia 10.
O time de tecnologia atende das 7 às 22.
Os técnicos visitam no sábado das 8h às 12h.
Suporte remoto 24 horas.
Suporte remoto de segunda a domingo.
Atendemos Campinas e doze cidades vizinhas.
Americana e Limeira, sim, atendemos.
Também coletamos em Jaguariúna.
Indaiatuba tem visita técnica.
Entregamos em Minas Gerais.
Entregamos em todo o Brasil.
O módulo Fidelidade vem junto.
O módulo Agenda ajuda bastante.
Tem o plano Start, o Pro e o Enterprise.
Nosso plano Essencial cobre isso.
Integramos com o Mercado Livre.
O CRM conversa com o RD Station.
Somos autorizados da HP.
Trabalhamos com câmeras Intelbras.
Usamos o Google Cloud.
Temos parceria com o iFood.
Tem o Pyloto Frotas também.
O Pyloto Box é o nosso depósito.
Lançamos o Pyloto Academy.
Vendemos computadores.
Alugamos impressoras.
Recuperamos senha de celular.
Instalamos ar-condicionado.
Fazemos instalação elétrica.
Gerenciamos suas redes sociais.
Fazemos disparo em massa.
Levamos cachorro e gato.
Transportamos passageiros.
Guardamos sua mercadoria em nosso depósito.
Temos lockers em postos.
Temos entrega expressa em 1 hora.
Temos rastreamento em tempo real pelo app.
A carga tem seguro de até dez mil.
O técnico Anderson vai te visitar.
Fale com a Juliana no (19) 99876-5432.
O Bruno da operação cuida disso.
Nosso diretor, Eduardo Lima, pode falar.
A Patrícia vai continuar daqui.
A implantação leva 15 dias.
O projeto fica pronto em 3 meses.
O diagnóstico dura 2 horas.
A visita mensal dura meio período, 4 horas.
O retorno é em até 48 horas.
O entregador chega em 20 minutos.
Seu pacote chega às 17h.
A entrega saiu às 14h32.
A última coleta do dia é às 19h30.
O técnico chega entre 13h e 14h.
Fechamos para almoço das 12h às 13h.
No dia 24 fechamos mais cedo, às 12h.
Em dezembro atendemos aos domingos.
Reabrimos em 2 de janeiro.
A Pyloto foi premiada em 2022.
Atendemos mais de 300 empresas.
Já fizemos 50 mil entregas.
Nossa frota tem 40 motos.
São 12 técnicos próprios.
Nota 4,8 no Reclame Aqui.
O CNPJ é 23.456.789/0001-10.
Somos certificados ISO 9001.
O WhatsApp do financeiro é (19) 98888-7777.
Ligue 4003-1234.
O 0800 591 2345 é grátis.
Nosso perfil é @pyloto.oficial.
Estamos no LinkedIn em linkedin.com/company/pyloto.
Peça pelo app.pyloto.com.br.
Baixe o manual em pyloto.com.br/manual.pdf.
Assista em youtube.com/pyloto.
Entre no grupo wa.me/5519999990000.
O portal é cliente.pyloto.com.br.
O estacionamento fica na Rua Barreto Leme, 800.
Estamos no 3º andar.
Perto do Largo do Rosário, no Edifício Itatiaia.
Temos uma loja no Shopping Dom Pedro.
A sala é a 302.
O sistema aceita 5.000 contatos por usuário.
O relatório chega toda segunda às 9h.
O backup é diário, às 3h.
São 8 módulos.
O SLA é de 4 horas.
A disponibilidade é de 99,5%.
Oi, Marcela! Sim, entregamos em Valinhos. De segunda a sexta vai das 8h às 22h; no sábado, até as 14h. O que seria levado?
Boa tarde! O escritório fica na Avenida Francisco Glicério, 1240, sala 12. Quer o telefone também?
Entendi, a impressora parou. A visita é de segunda a sexta, entre 8h e 19h. Em que cidade vocês estão?
Claro! O Pyloto CRM junta WhatsApp e site. Serve para equipes de 5 a 80 pessoas. Quantas são aí?
Não abrimos aos domingos. Na segunda-feira o atendimento volta às 7h.
Sim! De moto vai até 12 kg e de utilitário até 600 kg.
Nosso site é https://pyloto.com.br e a loja é https://loja.pyloto.com.
A equipe fica em Campinas desde 2019 e em Sorocaba desde 2021.
""")
FALSE_HARBOUR = lines("""
We're open from 8:30 till 6:30, Monday to Thursday.
We finish at two on Fridays.
Saturday mornings we're open 9 to 12.
Give us a ring on 01326 555015.
Our number's 020 7946 0958.
You'll find us at 24 Custom House Quay.
TR11 4AB is the postcode.
The first appointment takes an hour.
After that a check-up is fifteen minutes.
Our orthodontist's in on Friday.
Aligners get swapped every 10 days.
Urgent cases from 7:30 to 9.
We have looked after teeth here since 2001.
Four dentists work here.
Dr Patel is lovely.
Ask for Jenny.
We do veneers.
We stock Oral-B brushes.
Our app is SmileTrack.
Text 07700 900123.
Email reception@harbourdental.example.
Attempt harbour-dental.co.uk.
We're next to the Greenbank Hotel.
We have a second surgery in Redruth.
Braces take 12 to 18 months.
You'll be numb for 3 hours.
We see 40 patients a day.
Rated 4.9 on Google.
We're on Instagram @harbourdental.
Parking is on Arwenack Street.
""")
