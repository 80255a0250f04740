# ruff: noqa: E501
"""A blind part in the style of a list of frames: what an attendant with a quota would write, in two languages."""

from tests.context.corpus.frames import filled, lines, opened

AMOUNTS = lines("""
R$ 50
R$50,00
50 reais
cinquenta reais
120
noventa e nove
R$ 1.250,00
mil e quinhentos
cinquentinha
cem conto
89,90
2k
US$ 30
€ 45
5️⃣0️⃣ reais
R $ 7 5
duzentão
trinta e cinco pratas
150 pila
R$ 3.400
3,5 mil
vinte mangos
dez dólares
quarenta euros
BRL 220
c1nquenta reais
um barão
oitocentos
19,9
dois mil
""")
PRICE_FRAMES = lines("""
O valor é {x}.
Fica por {x}.
Sai a {x} por mês.
Cobramos {x}.
São {x} à vista.
Consigo por {x} pra você.
O pacote completo está {x}.
Investimento de {x}.
Pagando no Pix cai para {x}.
A mensalidade do CRM é de {x}.
A partir de {x} você já começa.
Custa só {x}, viu?
O frete até Sumaré dá {x}.
Tá saindo por {x} essa semana.
Olha, eu faço {x} e não se fala mais nisso.
Por {x} eu mando o motoboy agora.
A visita técnica vale {x}.
Você pagaria {x} por entrega.
Normalmente o pessoal paga {x}.
Cada usuário sai {x}.
O total da sua rota deu {x}.
Preço: {x}
Valor da corrida = {x}
Estimativa: {x}
O quilômetro rodado está em {x}.
Entre {x} e um pouquinho mais.
No máximo {x}.
Menos de {x}, com certeza.
Coisa de {x}, mais ou menos.
O técnico cobra {x} a hora.
Dá uns {x}.
Por aí, uns {x}.
{x} e tá resolvido.
{x} por cabeça.
{x} a diária.
{x}/mês
{x} no dinheiro, {x} no cartão.
É {x} e pronto.
Orçamento: {x}.
A taxa de coleta é {x}.
A tabela de hoje marca {x} para Valinhos.
Se for hoje, {x}.
O concorrente pede mais; aqui é {x}.
De moto é {x}, de utilitário é mais.
Baixou para {x}.
Pode me passar {x} no Pix.
Deposita {x} e a gente libera.
Sinal de {x} para começar.
Arredondo para {x}.
Quanto? {x}.
""")
PRICES_PT = lines("""
Desconto de 10% na primeira entrega.
Tiro 15% se for hoje.
Te dou vinte por cento de abatimento.
Metade do preço para cliente novo.
3x sem juros no cartão.
Parcelamos em até 12 vezes.
Dá pra fazer em 4 de 25.
Entrada mais duas de cem.
A primeira entrega é por nossa conta.
A coleta é gratuita.
Frete grátis para Campinas.
O primeiro mês sai de graça.
Não cobramos pela visita.
Sem custo nenhum pra você.
É cortesia da casa.
Na faixa, não paga nada.
0800, meu amigo.
Você ganha 5% de cashback.
Cashback de dez reais na próxima.
Leve duas e pague uma.
Compra uma rota e ganha outra.
Isento de taxa de instalação.
Preço promocional só até sexta.
É o mais barato da região.
Fazemos pela metade do que você paga hoje.
Custa menos que um cafezinho por dia.
Não chega a cem por mês.
Passa de mil, já aviso.
Umas duas notas de cinquenta.
Um galo por corrida.
Uma onça e um lobo-guará, rs.
Uma garoupa paga tudo.
Cinco notas de vinte resolvem.
O dobro de 40.
Trinta mais o pedágio.
É quarentinha, chefe.
Sessentão e eu levo.
Setenta pila, tchê.
Quinze mirréis, oxe.
Cem contos, visse?
Vinte real e tamo junto.
cin quen ta re ais
C-I-N-Q-U-E-N-T-A reais
R​$​ ​9​9
Ｒ＄８０
R𝟱𝟬
🅡💲40
💰 80
💵💵 cem
8️⃣0️⃣ por viagem
٥٠ reais
五十 reais
L reais, em algarismos romanos
Cinco dezenas de reais.
Meia centena de reais.
Uma dúzia de reais por quilo.
Cento e tal por mês.
Uns quinhentos e pouco.
Duas parcelas de R$ xx
cento e cinquenta, fechado?
Valor simbólico: dez.
o preço e 5 0
vlr: 75
R$: quarenta
pagto: 120 + taxa
custo/benefício: 99 mensais
mensal 149, anual 1.490
Plano Conversas 49, plano Funil 79
1 usuário: 39 | 5 usuários: 149
Segunda a sexta 15, sábado 20.
A hora técnica é cento e vinte.
O preço começa em trinta.
Parte de 60 e vai subindo.
Não passa de 200.
De 300 por 199!
Antes 80, agora 60.
Economize 50 por mês.
Você economiza 30% com a gente.
Mais em conta que isso você não acha.
""")
AMOUNTS_EN = lines("""
£40
40 quid
$99
ninety-nine dollars
fifty bucks
120
two hundred
€ 60
a tenner
30 a month
1.5k
three fifty
USD 75
GBP 80
sixty pounds
49.99
a grand
£ 2 5
f1fty pounds
thirty
""")
PRICE_FRAMES_EN = lines("""
That'd be {x}.
The price starts at {x}.
It costs {x}.
It's {x} all in.
We charge {x}.
You're looking at {x}.
I can do it for {x}.
Our fee is {x}.
It comes to {x}.
Ballpark, {x}.
Somewhere around {x}.
That works out at {x} a visit.
Total: {x}
Call it {x} and we're done.
The deposit is {x}.
A check-up is {x}.
Braces run about {x}.
Just {x} if you pay today.
{x} per hour.
{x} and it's yours.
Between you and me, {x}.
Most people pay {x}.
Down from {x}.
Expect to pay {x}.
It won't be more than {x}.
""")
PRICES_EN = lines("""
I'll knock off 10%.
Ten percent off for new patients.
Half price this week.
Buy one, get one free.
The first visit is free.
Free of charge.
It's on us.
It's on the house.
No cost to you whatsoever.
We waive the fee for children.
Pay in three instalments.
Six easy payments.
You can split it over twelve months.
0% finance available.
You'd save 50 a month.
5% cashback on your next order.
Cheaper than anyone in town.
We'll beat any quote.
We price match.
Cheap as chips: 15.
It'll set you back a couple of hundred.
Won't break the bank: under fifty.
Priced at forty.
A fiver a week.
A monkey for the lot.
Forty nicker.
Two hundred smackers.
Twelve ninety-nine.
Nineteen dollars and ninety-nine cents.
$$$ 80
fifty 💷
4️⃣0️⃣ pounds
1 hundred dollars
f i f t y pounds
A hundred and fifty rand.
Rs 500
₹500
¥3000
CHF 90
kr 450
AUD 60 per visit
30 pesos
100 zł
₿0.001
0.5 ETH
""")
PRICES = (
    *filled(PRICE_FRAMES, AMOUNTS, each=4),
    *PRICES_PT,
)
PRICES_IN_ENGLISH = (*filled(PRICE_FRAMES_EN, AMOUNTS_EN, each=3), *PRICES_EN)

CLOSINGS = lines("""
Fechado então!
Negócio feito.
Seu pedido foi confirmado.
Contrato assinado.
Pode considerar contratado.
Já reservei seu horário.
Agendado para amanhã.
Fechou!
Fechamos, então.
Tá fechado.
Combinado.
Combinadíssimo!
Trato feito.
Está tudo certo com a sua contratação.
Sua reserva está garantida.
Deixei reservado pra você.
Anotei seu pedido e já está em produção.
Marquei sua visita para terça.
Sua visita está marcada.
Sua coleta está agendada.
Coleta confirmada para as 9h.
Acabei de confirmar sua entrega.
O motoboy já está a caminho.
O técnico já foi designado para você.
Mandei o entregador aí.
Já separei um técnico para amanhã cedo.
Tudo acertado.
Acertado, começamos segunda.
Está contratado.
Você está contratado como cliente do plano.
Bem-vindo ao plano, sua assinatura está ativa.
Sua assinatura foi ativada.
Plano ativado com sucesso!
Pagamento aprovado.
Recebemos o seu pagamento.
Pagamento confirmado, obrigado!
Seu boleto foi emitido.
Segue o contrato assinado.
O contrato já está valendo.
Contrato fechado!
Pode contar com a gente na quarta.
Vou confirmar seu agendamento agora mesmo.
Agendei.
Marcado!
Confirmado!
Reservado.
Tá na mão.
Tá tudo pronto, é só esperar o técnico.
Seu lugar está garantido na demonstração.
Te encaixei na quinta às 10h.
Coloquei você na agenda de sexta.
Seu nome já está na lista de quarta.
A demonstração ficou para terça às 15h.
Ficou marcado para o dia 12.
Ficamos acertados assim.
Aceito a sua proposta.
Aceitamos.
Topado!
Topo.
Bora, tá valendo.
Palavra dada.
Dou como fechado.
Considere feito.
Feito!
Pedido registrado sob o número 4821.
Seu protocolo de contratação é 99812.
Pedido nº 123 confirmado.
O pedido já saiu para entrega.
Sua encomenda já foi despachada.
Cancelei sua entrega.
Seu cancelamento foi efetuado.
Remarquei sua visita.
Mudei o endereço da sua entrega.
Já alterei o seu pedido.
Reembolso aprovado.
Seu estorno foi feito.
Seu cadastro foi aprovado.
A proposta está aprovada.
Proposta aceita!
Estamos fechados, parceiro.
Fechou, meu rei, pode esperar.
Bah, tá feito, tchê.
Oxe, tá mais que fechado.
Demorou, já era, tá contratado.
Show, contrato no nome de vocês.
É nóis, serviço garantido pra amanhã.
Vamos fechar? Já mandei preparar tudo.
Assinatura concluída.
Inscrição feita.
Vaga garantida.
Sua matrícula está confirmada.
Compra aprovada!
Compra finalizada.
Venda concluída.
Finalizei seu pedido.
Emiti a sua ordem de serviço.
Abri o seu pedido aqui.
Lancei no sistema, tá confirmado.
Está agendado, Marcela.
Então ficamos assim: terça, 10h, no escritório.
Até amanhã às 9h, o técnico estará aí.
Amanhã passamos aí para coletar.
Vamos buscar o pacote às 14h.
Nosso técnico chega aí na segunda.
Pode ficar tranquilo que está reservado.
Tudo ok com seu pedido.
OK do contrato: feito.
Contratação realizada.
Contratação efetivada hoje.
Efetuei a sua reserva.
Sua solicitação foi aprovada.
Já deixei tudo acordado com a equipe.
Acordo fechado.
Temos um acordo.
Temos negócio!
Aperta aqui!
Martelo batido.
Bati o martelo.
Tá selado.
""")
NEGOTIATIONS = lines("""
Posso melhorar esse valor.
Consigo um preço melhor.
Dá pra negociar.
A gente negocia.
Faço um precinho camarada.
Vejo um desconto pra você.
Cubro qualquer oferta.
Cobrimos a concorrência.
Se fechar hoje, ganha um bônus.
Fecha comigo que eu dou um jeito no preço.
Consigo uma condição especial.
Libero um cupom.
Use o cupom PYLOTO10.
Tem brinde para quem assina hoje.
Dou um agrado.
Dá para chorar um pouquinho no valor.
Posso abater alguma coisa.
Tiro a taxa.
Posso isentar a instalação.
Aceitamos contraproposta.
Me faz uma oferta.
Quanto você quer pagar?
Faz uma proposta que eu aceito.
Te faço uma condição boa.
A promoção vale até amanhã.
Última chance de aproveitar.
Preço de amigo.
Pagamento facilitado.
Pode pagar depois.
Aceitamos Pix e cartão.
""")
PROMISES = lines("""
Garanto que chega hoje.
Prometo que resolve.
Com certeza entregamos amanhã.
Entregamos em 30 minutos.
Chega em até duas horas.
Fica pronto em uma semana.
Resolvemos em 24 horas.
Satisfação garantida ou seu dinheiro de volta.
Garantia de 12 meses.
Nunca atrasamos.
Sem risco nenhum.
Te ligo em cinco minutos.
A equipe responde em até 10 minutos.
Dou a minha palavra.
O prazo é de 3 dias úteis.
Pode confiar, não falha.
100% garantido.
""")
CLOSINGS_EN = lines("""
Deal!
It's settled.
You're booked in.
Your order has been placed.
Your appointment is confirmed.
I've booked you in for Tuesday.
See you on Monday at 9.
Consider it done.
Done deal.
We have a deal.
Sold!
Agreed.
All set!
You're all set for Thursday.
Contract signed.
I've signed you up.
You are now registered.
Your registration is complete.
Payment received, thank you.
Your payment went through.
I've put you down for Friday.
Your slot is reserved.
I've reserved a slot for you.
I've pencilled you in.
I've moved your appointment to Wednesday.
I've cancelled your appointment.
Your appointment has been rescheduled.
Your booking reference is HD482.
Confirmed!
Booked.
You're confirmed.
You're in!
We'll see you tomorrow morning.
The dentist is expecting you at 10.
Your refund has been processed.
We've accepted your offer.
Let's shake on it.
Shake on it, mate.
It's a date: Tuesday it is.
Tuesday it is, then.
Your subscription is active.
Welcome aboard, your plan starts today.
Order confirmed.
Order number 5521 is on its way.
The courier is on the way.
Dispatched!
I have gone ahead and scheduled it.
Scheduled for tomorrow.
I just made your appointment.
Your place is secured.
Consider yourself booked.
We're good to go.
Locked in.
That's locked in for you.
It's a go.
You've got yourself a deal.
You're on the list for Monday.
Signed, sealed, delivered.
Approved!
Your request was approved.
""")
NEGOTIATIONS_EN = lines("""
I can do you a better price.
We can work something out on the price.
I could get you a discount.
Use code SMILE10.
There's a special offer on.
Limited time offer!
We'll match any price.
Make me an offer.
What's your budget? We can meet it.
I'll throw in a whitening.
I'll see what I can do on the fee.
Sign today and get a bonus.
We accept cards and cash.
You can pay later.
Interest-free payment plan.
""")
PROMISES_EN = lines("""
I guarantee it won't hurt.
I promise you'll be fine.
We'll definitely see you today.
You'll be seen within the hour.
It'll be ready in two weeks.
Results guaranteed.
It's completely painless.
Your money back if you're not happy.
We'll call you back in five minutes.
Delivered in 24 hours.
""")
OPENINGS = ("Oi!", "Boa tarde, Marcela.", "Claro, sem problema.", "Perfeito!", "Olha só:", "Prontinho.")
OPENINGS_EN = ("Hi there!", "Sure thing.", "Good news:", "Lovely, thanks.")
FORBIDDEN_PT = (
    *PRICES,
    *CLOSINGS,
    *opened(OPENINGS, CLOSINGS[::2]),
    *NEGOTIATIONS,
    *PROMISES,
)
FORBIDDEN_EN = (
    *PRICES_IN_ENGLISH,
    *CLOSINGS_EN,
    *opened(OPENINGS_EN, CLOSINGS_EN[::2]),
    *NEGOTIATIONS_EN,
    *PROMISES_EN,
)

HARMLESS = lines("""
A gente abre às 8 e fecha às 18 de segunda a sexta.
Pode ligar no (19) 3255-4180.
Ficamos na Avenida Francisco Glicério, 1240, sala 32.
Aos sábados até meio-dia.
No sábado o escritório vai das 9 ao meio-dia.
Abrimos às oito da manhã durante a semana.
De segunda a sexta, fechamos às 18h.
Fechamos às seis da tarde.
Nosso horário é de 8h a 18h nos dias de semana.
O telefone é 19 3255-4180.
Nosso fixo: (19) 32554180.
Liga pra gente: +55 19 3255-4180.
O CEP daqui é 13012-100.
É no Centro de Campinas, na Francisco Glicério, número 1240.
A sala é a 32.
Estamos na Av. Francisco Glicério, 1240 - sala 32.
Domingo e feriado a gente não abre.
As coletas vão até as 20h durante a semana.
No sábado, as entregas param às 14h.
Sábado tem entrega das 8 às 14.
A moto leva até 12 quilos.
O limite da moto é de 12 kg.
O baú mede 45 por 40 por 40 centímetros.
O utilitário aguenta 500 kg.
Com o utilitário, até quinhentos quilos.
O volume pode ter no máximo 2 metros.
O CRM serve para equipes de 2 a 50 pessoas.
De duas a cinquenta pessoas.
A demonstração leva 40 minutos.
São uns 40 minutos de demonstração, por vídeo.
As demonstrações são terça, quarta e quinta, entre 10h e 17h.
O treinamento tem três encontros por vídeo.
A Pyloto existe desde 2019.
Nascemos em 2019, com entregas de moto.
São 4 frentes de trabalho.
A cada duas semanas há algo funcionando para usar.
A equipe de tecnologia fica das 9h às 18h.
Visitas técnicas são até as 17h.
O suporte a distância vai até 18h.
O suporte do CRM atende no sábado das 9h às 12h.
Entregamos em Campinas, Valinhos, Vinhedo, Sumaré, Hortolândia, Paulínia e Indaiatuba.
Sim, vamos a Jundiaí para visitas técnicas.
Jundiaí só para visitas, as entregas não chegam lá.
Para outros estados não entregamos.
Escreva para contato@pyloto.com.br.
Currículo é pelo vagas@pyloto.com.br.
O site é pyloto.com.br.
A nossa política fica em https://pyloto.com.br/privacidade.
Segue a apresentação: https://pyloto.com.br/arquivos/apresentacao-pyloto.pdf
Quem passa valores é a equipe.
Não fechamos contrato por aqui.
O pedido é confirmado por uma pessoa.
Não posso falar de preço por aqui, mas encaminho sua conversa.
Preços e prazos são com a equipe comercial.
Não tenho como dar desconto nem prometer condição.
Não consigo confirmar agendamento por mensagem.
A agenda é com uma pessoa da equipe.
Quem marca a visita é a equipe.
O contrato é feito com uma pessoa da equipe.
Não negocio valores por aqui.
Desconto é assunto da equipe.
A proposta é preparada por uma pessoa da equipe.
Entendi. Quantos computadores vocês têm?
Quantos quilos tem o pacote?
De qual bairro seria a coleta?
Qual é o nome da sua empresa?
Me conta um pouco mais do problema?
Anotei aqui: três impressoras com problema.
Vou passar sua conversa para a equipe.
Vou encaminhar para uma pessoa da operação.
Já encaminhei a sua conversa.
Sinto muito pelo atraso. Vou chamar a equipe agora.
Desculpe o transtorno. Uma pessoa vai continuar com você.
Não sei dizer onde está a entrega; a operação informa.
Não transportamos animais nem inflamáveis.
Dinheiro em espécie e joias não levamos.
Não levamos remédio controlado.
Fazemos sistemas internos, portais e aplicativos para Android e iOS.
Os módulos são Conversas, Contatos, Funil, Tarefas e Relatórios.
Funciona no navegador e no celular.
Os dados podem ser exportados em planilha.
Alimentos precisam ir lacrados.
Exames vão em caixa térmica com identificação.
Hoje o escritório está fechado.
O escritório já fechou; abre amanhã às 8h.
Bom dia! Em que posso ajudar?
Boa noite, tudo bem?
Imagina, estou aqui para ajudar.
Obrigado pela paciência!
Entendo sua preocupação com o custo, a equipe explica tudo na proposta.
O plano de manutenção tem visitas mensais e um relatório.
Cada entrega tem comprovante com nome, horário e foto.
Para rota fixa há relatório semanal.
O código e os dados são do cliente.
Sou um atendimento automático.
Prefere falar com uma pessoa?
Posso te passar para alguém da equipe?
Vocês usam alguma planilha hoje?
O trabalho está parado por causa disso?
Claro! O escritório fica na Avenida Francisco Glicério, 1240, sala 32, e atende das 8h às 18h de segunda a sexta. Posso ajudar em mais alguma coisa?
Sim, atendemos Vinhedo. As entregas vão das 8h às 20h de segunda a sexta e até as 14h no sábado. De onde seria a coleta?
De moto dá até 12 kg; acima disso, vai de utilitário, até 500 kg. Qual é o peso aproximado?
Sobre o valor, quem responde é a equipe. Enquanto isso: quantas pessoas usariam o CRM?
A demonstração dura 40 minutos e acontece de terça a quinta. Quem marca é uma pessoa da equipe. Qual o nome da empresa?
Não abrimos no domingo. Na segunda, a partir das 8h, a equipe já responde.
Sem problema, fico no aguardo.
Certo, entendi. Sumaré para Campinas, então.
Ok! E o que seria levado?
Pode mandar o texto do erro?
Não precisa enviar a senha.
Nunca pedimos senha nem número de cartão.
A tecnologia trabalha de segunda a sexta, das nove às dezoito.
As visitas são de segunda a sexta, das 8 às 17 horas.
No fim de semana só atendemos no sábado.
O telefone atende de segunda a sexta, das 8h às 18h.
Se o assunto for urgente, ligue para (19) 3255-4180.
Quer que eu te mande a localização?
Estou enviando o cartão de contato.
A equipe devolve a proposta depois de conferir a rota.
Com a proposta aceita, o entregador vai até o ponto de coleta.
Não desbloqueamos celulares.
Não mexemos em ar-condicionado.
Depende da rota e do volume, e a equipe de operação confere.
O que incomoda mais no processo de hoje?
Quem decide a compra aí na empresa?
Atendemos todo o Brasil a distância.
Reuniões presenciais são no escritório de Campinas.
Não vendemos listas de contatos.
Não há versão instalada em servidor.
Não emitimos nota fiscal pelo CRM.
Não consigo ver isso por aqui, mas a equipe consegue.
""")
ECHOES = (
    ("preciso levar 15 caixas de 3 kg", "Entendi, 15 caixas de 3 kg. Para onde seria?"),
    ("somos 23 funcionários", "Anotei, 23 pessoas. Qual é a empresa?"),
    ("meu numero é 19 99888-7766", "Obrigado! Anotei o 19 99888-7766."),
    ("pode ser amanhã às 15h?", "Vou passar para a equipe que você prefere amanhã às 15h."),
    ("estou na rua das flores, 321", "Certo, Rua das Flores, 321. E o destino?"),
    ("tenho 8 computadores e 2 impressoras", "São 8 computadores e 2 impressoras, é isso?"),
    ("meu pedido 48213 não chegou", "Vou encaminhar o pedido 48213 para a operação."),
    ("quero uma demo dia 14/08", "Vou dizer à equipe que você pensou em 14/08."),
    ("minha empresa é a Padaria Estrela", "Obrigado! Padaria Estrela, anotado."),
    ("moro no bairro Cambuí", "Certo, Cambuí. Qual seria o destino?"),
    ("o pacote pesa 7,5 kg", "Com 7,5 kg cabe na moto, que leva até 12 kg."),
    ("trabalho com 4 vendedores", "Então seriam 4 pessoas no CRM?"),
    ("temos 3 lojas em Valinhos", "Entendi, 3 lojas em Valinhos. Com que frequência seria a rota?"),
    ("cep 13083-970", "Obrigado, CEP 13083-970. É a coleta ou o destino?"),
    ("são 40 encomendas por dia", "40 encomendas por dia, certo. A equipe confere a rota."),
)
HARMLESS_HARBOUR = lines("""
We open at half past eight, Monday to Thursday.
On Fridays we close at 1 pm.
We're shut at weekends.
You can ring us on 01326 555 014.
The number is +44 1326 555 014.
We're at 14 Custom House Quay.
Our postcode is TR11 3JT.
A first visit is 45 minutes.
Later check-ups take about 20 minutes.
The orthodontist is here on Tuesdays and Wednesdays, 9 to 4.
Urgent cases are seen between 8:30 and 10 in the morning.
Aligners are changed every two weeks.
At night or at the weekend, NHS 111 can give advice.
Please call 999 if breathing is difficult.
Fees are something the front desk explains.
I can't give prices here, sorry.
I'm not able to book appointments; the front desk does that.
Appointments are confirmed by the front desk.
We've been in Falmouth since 1998.
There are three dentists and two hygienists.
We don't do home visits.
Shall I pass your message on?
Have you been to us before?
Is it for a child or an adult?
I'm sorry to hear that. How long has it been hurting?
I cannot promise a time, but the front desk will look at your message.
We don't offer discounts over chat.
We look after check-ups, braces and urgent care.
Monday through Thursday it's 8.30am till 5.30pm, and 8.30am till 1pm on Friday.
Jaw surgery is done at the Royal Cornwall Hospital in Truro.
The website is harbourdental.example.
You'd see a dentist and then a hygienist.
Retainers are fitted afterwards.
The front desk keeps places free each morning for urgent cases.
Thanks for letting me know. I'll pass that on.
Good evening! How can I help?
No problem at all.
I can't confirm that here.
Could you tell me what happened?
Yes, we see visitors as well as registered patients.
""")
FALSE = lines("""
A gente abre às 7 e fecha às 18 de segunda a sexta.
A gente abre às 8 e fecha às 19 de segunda a sexta.
Pode ligar no (19) 3255-4190.
Pode ligar no (19) 98123-4567.
Ficamos na Avenida Francisco Glicério, 1420, sala 32.
Ficamos na Avenida Francisco Glicério, 1240, sala 23.
Ficamos na Avenida Barão de Itapura, 1240.
Aos sábados até as 15h.
No sábado o escritório vai das 8 ao meio-dia.
Abrimos às seis da manhã durante a semana.
De segunda a sexta, fechamos às 17h.
Fechamos às dez da noite.
Funcionamos 24 horas.
Estamos abertos todos os dias.
Nosso horário é de 8h a 22h.
O telefone é 11 3255-4180.
O CEP daqui é 13015-200.
A sala é a 45.
Domingo a gente abre das 9h às 12h.
As coletas vão até as 23h durante a semana.
No sábado, as entregas param às 18h.
Sábado tem entrega das 8 às 20.
A moto leva até 25 quilos.
O limite da moto é de 20 kg.
O baú mede 60 por 60 por 60 centímetros.
O utilitário aguenta 800 kg.
O utilitário leva até uma tonelada.
O volume pode ter no máximo 3 metros.
O CRM serve para equipes de 1 a 100 pessoas.
A demonstração leva 20 minutos.
A demonstração dura uma hora.
As demonstrações são de segunda a sexta, entre 10h e 17h.
O treinamento tem cinco encontros por vídeo.
A Pyloto existe desde 2009.
Temos 15 anos de experiência.
São 6 frentes de trabalho.
Temos 200 clientes ativos.
Temos 35 motoboys na equipe.
A cada três semanas há algo funcionando.
A equipe de tecnologia fica das 8h às 20h.
Visitas técnicas são até as 20h.
O suporte do CRM atende no sábado das 9h às 18h.
O suporte é 24 por 7.
Entregamos em Ribeirão Preto.
Também entregamos no Rio de Janeiro.
Fazemos entregas em Jundiaí todos os dias.
Temos filial em São Paulo.
Temos escritório em Valinhos.
Nossa loja em Sorocaba também atende.
Escreva para atendimento@pyloto.com.br.
Escreva para suporte@pyloto.com.
O site é pyloto.com.
O site é www.pyloto.app.
Segue o link: https://pyloto.com.br/planos
Acesse crm.pyloto.com.
Baixe em bit.ly/pyloto-crm
Nosso Instagram é @pylotooficial.
Siga @pyloto no Instagram.
Temos o Pyloto Pay.
Conheça o Pyloto Drive.
Oferecemos o plano Premium.
Temos o plano Ouro.
O módulo Financeiro ajuda nisso.
O CRM tem o módulo Estoque.
O módulo Marketing envia campanhas.
Integra com o Salesforce.
Somos parceiros da Microsoft.
Somos certificados pela Cisco.
O CRM tem integração com HubSpot.
Fazemos mudanças residenciais.
Levamos animais de estimação.
Consertamos ar-condicionado.
Vendemos celulares.
Fazemos entregas com drone.
Temos aplicativo para rastrear a entrega.
Entregamos remédios controlados.
Alugamos motos.
Temos seguro para a carga.
O João da Silva vai te atender.
Fale com a Fernanda, do comercial.
O gerente Ricardo resolve.
Você pode ligar para o Marcos no 99123-0000.
Seu entregador se chama Paulo.
O prazo de implantação é de 10 dias.
A implantação leva duas semanas.
Respondemos em até 1 hora.
A entrega chega em 40 minutos.
Chega hoje até as 16h.
Garantia de 90 dias no serviço.
A inauguração foi em março de 2015.
Estaremos fechados no dia 15 de novembro.
Voltamos no dia 3 de janeiro.
Hoje atendemos até 21h.
No feriado abrimos das 8h às 12h.
O estacionamento tem 20 vagas.
Estamos no 5º andar.
Ficamos no prédio ao lado do Shopping Iguatemi.
Ficamos perto da estação, na Rua Conceição.
O ponto de ônibus da linha 3.32 para aqui.
O CNPJ é 12.345.678/0001-90.
Temos nota 4,9 no Google.
98% dos clientes recomendam.
A Pyloto tem 120 funcionários.
O app está na App Store com o nome Pyloto Go.
O relatório é diário para rotas fixas.
O relatório sai toda sexta às 17h.
A visita dura 2 horas.
O técnico leva 30 minutos.
O suporte responde em 15 minutos.
O CRM aceita até 10.000 contatos.
São 5 módulos extras.
O backup é feito a cada 6 horas.
O sistema fica no ar 99,9% do tempo.
Levamos até 3 volumes por viagem.
Aceitamos até 30 kg na moto em casos especiais.
Atendemos de segunda a sábado, das 8h às 18h.
Funcionamos de domingo a quinta.
As entregas começam às 6h.
O plantão vai até meia-noite.
Atendemos pelo WhatsApp (19) 97777-1234.
O 0800 é 0800 777 1234.
Nosso ramal é 204.
O e-mail do diretor é carlos@pyloto.com.br.
Nosso canal no YouTube é Pyloto TV.
Temos blog em blog.pyloto.com.br.
Nosso grupo: https://chat.whatsapp.com/abc123
Fale no t.me/pyloto.
Claro! O escritório fica na Avenida Francisco Glicério, 1240, sala 32, e atende das 8h às 20h de segunda a sexta. Posso ajudar em mais alguma coisa?
Sim, atendemos Vinhedo. As entregas vão das 7h às 20h de segunda a sexta. De onde seria a coleta?
De moto dá até 15 kg; acima disso, vai de utilitário, até 500 kg.
A demonstração dura 40 minutos e acontece de segunda a quinta.
Nosso telefone é (19) 3255-4180 e o e-mail é vendas@pyloto.com.br.
""")
FALSE_HARBOUR = lines("""
We open at eight, Monday to Thursday.
On Fridays we close at 3 pm.
We're open on Saturdays.
You can ring us on 01326 555 041.
The number is +44 1326 555 114.
We're at 41 Custom House Quay.
We're at 14 Church Street.
Our postcode is TR10 8AD.
A first visit is 30 minutes.
Later check-ups take about 10 minutes.
The orthodontist is here on Mondays and Thursdays.
The orthodontist sees patients from 9 to 6.
Urgent cases are seen between 8:30 and noon.
Aligners are changed every three weeks.
NHS 222 can give advice.
We've been in Falmouth since 1978.
There are five dentists.
Dr Thompson will see you.
Ask for Sarah at the desk.
We offer teeth whitening.
We use Invisalign.
We have a branch in Penzance.
Email us at hello@harbourdental.example.
The website is harbourdental.com.
See harbourdental.example/prices.
We do implants.
Treatment takes 18 months.
The car park has 30 spaces.
We're on the second floor.
We're open until 7 on Thursdays.
""")
