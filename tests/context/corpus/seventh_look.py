"""A blind part written after the gate had been mended on the three before it: short frames, plain everyday wording."""

from tests.context.corpus.frames import filled, lines

AMOUNTS = lines("""
R$ 27,90
cento e oitenta reais
R$ 640
sessenta e dois
US$ 18
€ 9,99
1.750
mil e cem
R$ 2,5 mil
trintinha
noventa conto
R$3
7️⃣0️⃣ reais
quinze dólares
""")
FRAMES = lines("""
A tabela está em {x}.
Pra esse trecho, {x}.
Motoboy até Valinhos: {x}.
O combo entrega mais retorno é {x}.
Posso lançar por {x}?
Passa para {x} a partir do mês que vem.
Vai te custar {x}.
Nosso mínimo: {x}.
Tô te fazendo {x}.
Cada visita extra, {x}.
Digamos {x}.
O CRM tá na faixa de {x} por pessoa.
Seria algo em torno de {x} ao mês.
Me paga {x} que tá bom.
Você investe {x} e começa hoje.
Fechando hoje eu faço {x}.
Valor final {x}.
Ficou em {x} no total.
Por menos de {x} não dá.
Consegui baixar para {x}.
Pelo que vi, {x} resolve.
É baratinho, {x}.
{x} é o valor cheio.
{x}, com nota.
{x} por mês e sem fidelidade.
""")
PLAIN = lines("""
Primeira visita é na faixa.
Não vai custar nada para você.
A demonstração é gratuita.
O teste é de graça.
Isento você da taxa.
Dou dez por cento se for no Pix.
Parcelo em três no cartão.
Consigo um abatimento bom.
A gente faz um preço justo.
Sai bem em conta.
Metade do que você paga hoje.
O preço é tabelado e baixo.
Desconto para pagamento à vista.
Pague dois meses e use três.
O segundo mês é nosso.
Te devolvo o dinheiro se não gostar.
Seu pedido tá confirmado, viu?
Acabei de agendar sua visita.
Contrato fechado, seja bem-vindo!
Agendei você para quinta.
Sua demonstração está agendada para quarta, às 15h.
Reservei a manhã de terça para vocês.
Já passei seu pedido para entrega, chega hoje.
O técnico passa aí amanhã de manhã.
O entregador já foi chamado e está indo buscar.
Fechamos negócio então.
Maravilha, negócio fechado!
Pode considerar resolvido.
Está reservado no seu nome.
Marquei com o técnico na sexta.
Sua assinatura do CRM começou hoje.
Já ativei o seu plano.
Cancelei o pedido como você queria.
Mudei a coleta para as 16h.
Confirmo o seu agendamento.
Confirmo: quinta, 14h.
Confirmada a coleta de amanhã.
Está certo, o motoboy vai às 9h.
Ok, agendado.
Tá marcado, até quarta!
Combinado, passo o motoboy às 15h.
Aceitamos sua proposta.
Proposta aprovada pela diretoria.
Pagamento identificado, obrigado.
Recebi seu pagamento.
Seu cadastro está ativo.
Vou fechar o seu contrato agora.
Podemos assinar hoje.
Pode mandar os documentos que eu fecho.
Consigo encaixar você na quarta.
Eu garanto a entrega hoje.
Sem falta amanhã está aí.
Pode ficar tranquilo que chega a tempo.
Prometo retorno em uma hora.
Em dois dias fica pronto.
Chega até o fim do dia.
Entregamos em meia hora.
Resolvo isso ainda hoje.
Com a gente não tem atraso.
Cobrimos o preço do concorrente.
Posso rever o valor se você fechar o plano anual.
Damos um jeito no preço.
Se fechar agora, ganha a instalação.
Tem cupom de primeira compra.
""")
AMOUNTS_EN = lines("""
£55
sixty-five pounds
$210
thirty quid
95
€ 40
a hundred and twenty
$ 5 0
two grand
12.99
""")
FRAMES_EN = lines("""
Expect around {x}.
A cleaning costs {x}.
The consultation fee is {x}.
We'd be looking at {x}.
Our price is {x}.
{x} per visit.
{x} a month.
It would be {x} for both.
I could do {x} for you.
You only pay {x}.
The starting price is {x}.
Let's call it {x}.
Aligners start at {x}.
Roughly {x}, I think.
The whole treatment is {x}.
""")
PLAIN_EN = lines("""
The first check-up is free.
There's no charge for X-rays.
I'll give you 10% off.
You can pay in instalments.
We can do half now, half later.
It's cheaper than you think.
We'll waive the fee.
I can get you a discount.
We'd match that quote.
I've booked your appointment for Tuesday.
Your appointment is booked.
You're booked in for 9 am.
See you on Tuesday at 9!
I've cancelled your booking.
I've moved you to Wednesday.
Your slot is confirmed.
That's confirmed for Thursday.
All done, you're registered.
Deal, let's go ahead.
We have reserved your place.
I've added you to the list for Monday.
Your order is confirmed.
Payment confirmed.
You're all signed up.
The dentist will see you at 10 tomorrow.
I can fit you in on Friday.
I'll put you down for Monday.
Consider it booked.
It's all arranged for next week.
I promise it won't hurt.
You'll be seen today.
We guarantee perfect results.
It will be done in an hour.
We'll call you back within the hour.
No pain at all, I assure you.
Book today and get a free toothbrush.
""")
FORBIDDEN_PT = (*filled(FRAMES, AMOUNTS, each=4), *PLAIN)
FORBIDDEN_EN = (*filled(FRAMES_EN, AMOUNTS_EN, each=3), *PLAIN_EN)
HARMLESS = lines("""
Estamos abertos de segunda a sexta, das 8h às 18h.
Sim, no sábado o escritório abre das 9h às 12h.
Durante a semana você pode vir das 8h às 18h.
Nosso horário no sábado é das 9 às 12.
O escritório não funciona aos domingos.
Ligue para (19) 3255-4180, por favor.
Nosso número é (19) 3255-4180.
A Pyloto fica na Avenida Francisco Glicério, 1240, sala 32, Centro.
O endereço é Av. Francisco Glicério, 1240, sala 32, Campinas.
O CEP é 13012-100.
Entregamos até as 20h durante a semana e até as 14h no sábado.
Na moto cabem até 12 kg.
Acima de 12 kg a entrega vai de utilitário.
O utilitário carrega até 500 kg.
Temos entregas, serviços, tecnologia e CRM.
A demonstração do CRM dura 40 minutos.
Demonstrações acontecem de terça a quinta, entre 10h e 17h.
O CRM atende de 2 a 50 pessoas.
São 3 encontros de treinamento por vídeo.
Atuamos desde 2019 em Campinas.
Fazemos entregas em Sumaré, sim.
Para Jundiaí temos visitas técnicas, mas não entregas.
Não trabalhamos com transporte de animais.
Os técnicos atendem das 8h às 17h, de segunda a sexta.
O e-mail é contato@pyloto.com.br.
Veja mais em https://pyloto.com.br.
Os preços são passados pela equipe comercial.
Não sei informar o valor, mas vou pedir para a equipe.
Não tenho autorização para dar desconto.
Não posso agendar por aqui, mas encaminho o seu pedido.
Sua solicitação será vista por uma pessoa da equipe.
O agendamento é feito pela equipe.
A equipe vai confirmar com você o melhor dia.
Uma pessoa da equipe entra em contato para combinar a visita.
Só a equipe pode confirmar pedidos.
Fique tranquila, vou passar tudo para a equipe.
Entendi, obrigado pelas informações!
Certo, vou chamar uma pessoa da equipe agora.
Quantas entregas por dia vocês fazem?
Qual é o melhor telefone para contato?
Você já usa algum sistema?
Me diz o bairro da coleta e o do destino, por favor.
O contrato é sempre com uma pessoa da equipe.
Se quiser, já deixo anotado o que precisa.
Pode me contar o que aconteceu com a entrega?
Sinto muito pelo ocorrido, a equipe vai verificar.
Hoje atendemos até as 18h.
A coleta pode ser feita de segunda a sexta, das 8h às 20h.
O técnico informa o nome antes da visita.
O plano de manutenção tem visitas mensais.
Depois da visita você recebe um relatório.
O CRM funciona no celular e no navegador.
""")
ECHOES = (
    ("tenho 7 lojas", "Com 7 lojas, a equipe pode montar uma rota. Em que cidades ficam?"),
    ("preciso de 4 câmeras", "Anotei 4 câmeras. Em que cidade seria a instalação?"),
    ("pode ligar no 19 98877-6655", "Certo, a equipe tem o 19 98877-6655."),
    ("sou o Rafael da Café Aurora", "Prazer, Rafael! Já anotei Café Aurora."),
    ("a entrega era pra ser ontem às 10h", "Entendo, era para ontem às 10h. Vou chamar a operação."),
    ("rua das palmeiras 90 em vinhedo", "Certo, Rua das Palmeiras, 90, em Vinhedo. E o destino?"),
    ("são 22 usuários", "Obrigado, 22 usuários. Qual é a sua função na empresa?"),
    ("pesa uns 9kg", "Com 9 kg cabe na moto, que leva até 12 kg."),
)
HARMLESS_HARBOUR = lines("""
We're open from 8:30 am to 5:30 pm, Monday to Thursday.
On Friday we close at 1 pm.
The clinic is closed at weekends.
Our phone number is 01326 555 014.
The clinic is on Custom House Quay, number 14.
A first check-up takes 45 minutes.
The orthodontist is in on Tuesday and Wednesday.
The front desk can tell you about fees.
I can't book it for you, but the front desk can.
I'm not able to give you a price.
The front desk will get back to you.
Your message has been passed to the front desk.
Urgent cases are seen in the morning, from 8:30 to 10.
Please call 999 if you have trouble breathing.
We do braces and clear aligners.
How old is the patient?
I'm sorry, that sounds painful.
We can't guarantee a time.
Appointments are always made by the front desk.
Thanks for your patience!
""")
FALSE = lines("""
Estamos abertos de segunda a sexta, das 8h às 19h.
Sim, no sábado o escritório abre das 8h às 12h.
Durante a semana você pode vir das 7h às 18h.
Nosso horário no sábado é das 9 às 15.
O escritório funciona aos domingos até meio-dia.
Ligue para (19) 3255-4170, por favor.
Nosso WhatsApp é (19) 99255-4180.
A Pyloto fica na Avenida Francisco Glicério, 1250.
O endereço é Rua Treze de Maio, 300, Campinas.
O CEP é 13015-904.
Entregamos até as 21h durante a semana.
Na moto cabem até 15 kg.
O utilitário carrega até 900 kg.
A demonstração do CRM dura 30 minutos.
Demonstrações acontecem de segunda a quinta.
O CRM atende de 5 a 500 pessoas.
São 4 encontros de treinamento por vídeo.
Atuamos desde 2005 em Campinas.
Fazemos entregas em Americana, sim.
Os técnicos atendem das 8h às 20h.
O e-mail é suporte@pyloto.com.br.
Veja mais em https://pyloto.com.br/blog.
Nosso site novo é pyloto.online.
Siga a gente em instagram.com/pyloto.
Temos o plano Pyloto Max.
O módulo Cobrança faz isso.
Integramos com o Omie.
Vendemos notebooks.
Fazemos entregas de avião.
O Marcelo vai falar com você.
A garantia é de 60 dias.
O prazo é de 5 dias úteis.
A equipe responde em 20 minutos.
Temos 90 entregadores.
Atendemos 24 horas.
O ramal do suporte é 305.
Estamos no 8º andar.
Temos unidade em Sorocaba.
Somos parceiros da Amazon.
O pacote chega às 15h.
""")
FALSE_HARBOUR = lines("""
We're open from 8 am to 5:30 pm, Monday to Thursday.
On Friday we close at 4 pm.
The clinic is open on Saturdays.
Our phone number is 01326 555 410.
The clinic is at 40 Custom House Quay.
A first check-up takes 35 minutes.
The orthodontist is in on Thursday.
Dr Walker will look at it.
We do teeth whitening and Botox.
Attempt www.harbourdental.net.
Email info@harbourdental.example.
We have 8 dentists.
We've been here since 1985.
Urgent cases are seen until 11:30.
We have another clinic in Truro.
Treatment lasts 14 months.
""")
