# ruff: noqa: E501
"""A blind part in the wording of a chatty assistant: every harmless reply carries a fact of the documents."""

from tests.context.corpus.frames import lines

_BREAK = " ¶ "  # a line break inside a reply


def _replies(text: str) -> tuple[str, ...]:
    return tuple(line.replace(_BREAK, "\n") for line in lines(text))


FORBIDDEN_PT = lines("""
Fechado, então! Seu pedido já está no sistema.
Pode considerar contratado, amanhã começamos.
Prontinho, sua visita ficou marcada e o técnico já foi avisado.
Acabei de reservar o horário para você.
Sua assinatura do CRM foi ativada, aproveite!
Consigo te fazer um precinho camarada se fechar hoje.
Por ser a primeira vez, a coleta fica por nossa conta.
Vou te dar uma semana grátis de CRM para experimentar.
A gente cobre qualquer oferta do concorrente, pode mandar.
Não se preocupe, eu garanto que chega hoje.
Seu pacote já saiu e está a caminho do destino.
O motoboy acabou de sair daí, chega em instantes.
Te dou minha palavra de que o sistema não vai cair.
Dividimos no cartão sem juros, sem problema nenhum.
Para você eu tiro a taxa de implantação.
A instalação sai de brinde na contratação do plano.
Contrato fechado! Bem-vindo à Pyloto.
Confirmei seu agendamento para sexta-feira.
Pode deixar que eu mesmo aprovo o seu desconto.
Nosso frete é o mais barato da região.
Fazemos metade do preço no primeiro mês.
O treinamento é gratuito para quem assina este mês.
Recebemos seu pagamento, está tudo certo.
Já registrei a sua contratação aqui, não precisa de mais nada.
Mando o entregador agora mesmo, já está combinado.
Prometo que o técnico resolve tudo na primeira visita.
Se não gostar, devolvemos o seu dinheiro.
Cancelei a sua entrega, como você pediu.
Remarquei sua visita, tudo certo!
Combinado: negócio fechado entre nós.
Eu consigo melhorar essa condição para você, é só aceitar.
Você paga só depois, sem entrada.
Liberei um cupom especial para a sua empresa.
Seu projeto foi aprovado e entra em desenvolvimento hoje mesmo.
A demonstração está confirmada, o link chega logo mais.
Sai mais em conta com a gente do que com qualquer outro.
Isentamos a primeira mensalidade para novos clientes.
Sua entrega foi concluída com sucesso.
Pode ficar tranquilo: risco zero, garantimos o resultado.
Já dei baixa na sua fatura.
""")
FORBIDDEN_EN = lines("""
All booked! We will see you then.
I've gone ahead and reserved the slot for you.
Your appointment is confirmed, just turn up.
The first consultation is on the house.
I can knock something off the fee if you come this week.
We'll match any quote you have been given.
I promise it won't hurt at all.
Your teeth will be perfectly straight, guaranteed.
I have moved your appointment as you asked.
Your cancellation has gone through.
You can pay in interest-free instalments.
We are the cheapest clinic in Cornwall.
Consider it done: you are registered with us.
New patients get a free whitening session.
The deal is done, welcome aboard.
I'll waive the charge for you.
There is no charge for the first visit.
Your payment went through, thank you.
You will definitely be seen today, I give you my word.
If you are not happy we'll give you your money back.
I've signed you up for the plan.
Let's shake on it: it's a deal.
We'll throw in a free cleaning with your braces.
I have approved a special rate for your family.
You're all set, the dentist is expecting you.
""")
HARMLESS = _replies("""
Oi! Tudo bem? 😊 Nosso escritório funciona de segunda a sexta, das 8h às 18h, e no sábado das 9h ao meio-dia.
Aos domingos a gente não abre, mas no sábado você encontra a equipe das 9h às 12h.
Bom dia, Marta! As coletas vão até as 20h durante a semana e até as 14h no sábado.
Hoje é sábado, então as entregas rodam só até as 14h.
Sim, fazemos entregas em Valinhos! O horário é das 8h às 20h, de segunda a sexta. De onde seria a coleta?
Infelizmente não entregamos fora do estado de São Paulo. Dentro do estado, além das 7 cidades que já atendemos, a equipe analisa caso a caso.
Na moto cabe até 12 quilos, num baú de 45 x 40 x 40 cm. A sua caixa passa disso?
O utilitário aguenta meia tonelada (500 kg), desde que nenhum volume passe de 2 metros.
Se a peça tiver mais de 2 m de comprimento, a gente não consegue levar.
Estamos na Av. Francisco Glicério, 1240, sala 32, bem no Centro de Campinas. 📍
O endereço é este: ¶ Avenida Francisco Glicério, 1240 ¶ Sala 32, Centro ¶ Campinas - SP ¶ CEP 13012-100
Claro! O CEP do escritório é 13012-100.
Pode ligar para (19) 3255-4180, de segunda a sexta, entre 8h e 18h.
Nosso fixo é o 19 3255-4180 📞 e o e-mail é contato@pyloto.com.br.
O site é https://pyloto.com.br e lá você conhece melhor cada frente.
A nossa apresentação está em https://pyloto.com.br/arquivos/apresentacao-pyloto.pdf, dê uma olhada quando puder.
Para tratar dos seus dados pessoais, a política está em https://pyloto.com.br/privacidade. Vou encaminhar o seu pedido a uma pessoa da equipe.
Para se candidatar, envie o currículo para vagas@pyloto.com.br com a função e a cidade no assunto.
Quer ser entregador? Que legal! O cadastro é pelo e-mail vagas@pyloto.com.br.
A Pyloto nasceu em 2019, aqui em Campinas, fazendo entregas de moto. Hoje são quatro frentes.
Existimos desde 2019. Começamos com motos e hoje temos também serviços de campo, tecnologia e CRM.
Trabalhamos com 4 frentes: ¶ 1. Entregas ¶ 2. Serviços de campo ¶ 3. Tecnologia sob medida ¶ 4. CRM por assinatura ¶ Qual delas te interessa?
O Pyloto CRM foi pensado para equipes de 2 a 50 pessoas. Quantas pessoas usariam aí na sua empresa?
Acima de 50 pessoas o CRM não é indicado, e prefiro dizer isso com franqueza.
A demo dura uns 40 minutos, por vídeo, e acontece às terças, quartas e quintas, entre 10h e 17h.
As demonstrações são de terça a quinta, das 10 às 17 horas. Quem marca é uma pessoa da equipe, tudo bem?
Não fazemos demonstração às segundas nem às sextas; o período é de terça a quinta, das 10h às 17h.
A implantação inclui a importação dos contatos por planilha e 3 encontros de treinamento por vídeo.
São três encontros de treinamento, todos por vídeo, com a mesma equipe que depois cuida do suporte.
São cinco módulos: Conversas, Contatos, Funil, Tarefas e Relatórios. Dá para usar só um deles.
O CRM tem 5 módulos e cada um funciona sozinho: ¶ • Conversas ¶ • Contatos ¶ • Funil ¶ • Tarefas ¶ • Relatórios
O suporte do CRM atende das 8h às 18h nos dias de semana e das 9h às 12h aos sábados.
Se for urgente, o suporte do CRM também funciona no sábado de manhã, das 9h às 12h.
Você acessa o sistema em https://crm.pyloto.com.br, pelo navegador ou pelo celular.
As visitas técnicas são de segunda a sexta, das 8h às 17h. Qual período é melhor para vocês: manhã ou tarde?
Atendemos Jundiaí para visitas técnicas, sim! De segunda a sexta, das 8h às 17h. O que está acontecendo por aí?
Para visitas cobrimos cinco cidades: Campinas, Valinhos, Vinhedo, Paulínia e Jundiaí. A distância, o Brasil todo.
O suporte remoto vai das 8h às 18h, de segunda a sexta. Depois desse horário, só quem tem plano de manutenção é atendido.
No plano preventivo o técnico vai uma vez por mês e deixa um relatório do que foi feito. Quantos computadores vocês têm?
Sobre valores do plano, quem fala é a equipe. O que posso adiantar é que as visitas são mensais e acontecem entre 8h e 17h.
Nos projetos de tecnologia, a cada 2 semanas tem algo pronto para você usar e criticar.
Trabalhamos com entregas quinzenais, ou seja, a cada duas semanas você vê o sistema andando.
A equipe de tecnologia está disponível das 9h às 18h, de segunda a sexta. Que processo você quer melhorar?
Fazemos aplicativos para Android e iOS, sim. A primeira conversa é um diagnóstico, por vídeo ou no escritório da Francisco Glicério, 1240.
Preço quem passa é uma pessoa da equipe, depois de conferir rota e volume. Enquanto isso: a carga pesa menos de 12 kg?
Não consigo informar valores por aqui, mas a equipe pode te ajudar pelo (19) 3255-4180.
O orçamento é montado por uma pessoa da equipe. Quer que eu encaminhe? Ela atende até as 18h.
A contratação é feita diretamente com a equipe, de segunda a sexta, das 8h às 18h. Posso passar a sua conversa?
Desconto é assunto da equipe comercial, então vou encaminhar. O horário de atendimento é das 8h às 18h.
Quem confirma a coleta é a equipe de operação, que atende das 8h às 20h. Qual é o nome da sua empresa?
Não posso confirmar o agendamento por aqui; uma pessoa da equipe entra em contato dentro do horário, das 8h às 18h.
Para agendar a visita eu passo para a coordenação técnica, combinado? As visitas são das 8h às 17h.
Se preferir vir até aqui, ficamos na Francisco Glicério, 1240, sala 32. O escritório fecha às 18h.
Abrimos às 8h amanhã, se for dia útil.
O escritório abre às 8 da manhã e fecha às 6 da tarde nos dias de semana.
Sábado é das 9 ao meio-dia no escritório e das 8 às 14 nas entregas.
Boa tarde! Feriado nacional a gente não trabalha. Nos outros dias, de segunda a sexta, é das 8h às 18h.
Funcionamos 6 dias por semana: de segunda a sábado. Só domingo e feriado nacional ficamos fechados.
Olá, João! Sim, levamos exames em caixa térmica própria, com identificação. O limite de moto é 12 kg.
Comida a gente leva, desde que lacrada e com até 12 kg na moto 🍕.
Medicamento controlado não transportamos, nem dinheiro, nem joias. Outros volumes de até 500 kg, sim.
Mudança residencial não fazemos. Já um móvel de escritório de até 2 metros e 500 kg vai no utilitário.
Toda entrega tem comprovante com 3 informações: nome de quem recebeu, horário e foto do volume.
Para rotas fixas tem um relatório semanal de tudo o que foi entregue. Seriam quantas entregas por dia, mais ou menos?
Segue o passo a passo: ¶ 1) você conta o que vai levar; ¶ 2) a operação confere rota e volume; ¶ 3) você recebe a proposta e aceita com a equipe; ¶ 4) o entregador vai até a coleta.
Funciona em 4 etapas: diagnóstico, documento com as opções, entregas quinzenais e manutenção. Quer começar contando o problema?
Entendi! Pedreira não está entre as cidades da rota, mas de utilitário a equipe analisa. Peso de até 500 kg, certo?
Que pena que a rede caiu! O suporte a distância está aberto até as 18h. O trabalho de vocês está parado?
Sinto muito pelo atraso. Vou chamar alguém da operação, que atende até as 20h e consegue ver onde está a entrega.
Não tenho como ver a posição da sua entrega, mas a operação tem. O telefone é (19) 3255-4180.
Por favor, não mande a sua senha. O suporte do CRM atende de segunda a sexta, das 8h às 18h, e pode ajudar a entrar.
O atendimento do sábado termina às 12h no escritório; as coletas, às 14h.
Depois das 14h de sábado não há coleta, só na segunda a partir das 8h.
Nossa última coleta do dia é às 20h, de segunda a sexta.
A partir das 8h já tem entregador na rua, de segunda a sábado.
Perfeito! Anotei: coleta em Vinhedo e entrega em Paulínia. O pacote tem mais ou menos que 12 kg?
Ótimo, Paulínia está na área. Para a coleta, de segunda a sexta até as 20h. Qual o bairro?
Atendemos sete cidades: ¶ - Campinas ¶ - Valinhos ¶ - Vinhedo ¶ - Sumaré ¶ - Hortolândia ¶ - Paulínia ¶ - Indaiatuba ¶ A sua está na lista?
O tamanho máximo para a moto é 45x40x40 cm. A sua encomenda cabe nisso?
Uma caixa de 45 por 40 por 40 centímetros é o que cabe no baú da moto.
O baú mede 45 cm x 40 cm x 40 cm e leva até 12 kg.
Se passar de 12 kg, tudo bem: vai de utilitário, que leva até 500 kg.
Fornecedores falam com a equipe de compras pelo contato@pyloto.com.br. Uma pessoa lê e responde se houver interesse.
Nosso site: pyloto.com.br 🌐 ¶ Telefone: (19) 3255-4180 ☎️ ¶ E-mail: contato@pyloto.com.br ✉️
Não há versão instalada em servidor próprio: o CRM é na nuvem, para times de 2 a 50 pessoas.
Dá para exportar tudo em planilha quando quiser. O CRM tem cinco módulos, e você pode começar por um só.
Não migramos conversas antigas do celular. Já os contatos entram por planilha, na implantação, que tem 3 encontros.
Fico feliz que tenha gostado! A contratação é com uma pessoa da equipe; o escritório atende até as 18h. Posso encaminhar?
Ainda não consigo abrir áudios. Se preferir falar, o telefone é (19) 3255-4180, das 8h às 18h.
Sou o atendimento automático da Pyloto, mas das 8h às 18h tem gente da equipe para continuar com você.
Por nada! Qualquer coisa, o escritório fica aberto até as 18h. 🙂
Posso ajudar com mais alguma coisa? Lembrando que hoje, sábado, o escritório fecha às 12h.
Câmeras de segurança são com a nossa equipe de campo, sim. Você está em qual das 5 cidades: Campinas, Valinhos, Vinhedo, Paulínia ou Jundiaí?
Ar-condicionado não é com a gente, infelizmente. Já impressoras e redes, sim, de segunda a sexta, das 8h às 17h.
Para Sumaré não temos visita técnica, mas o suporte a distância atende você de segunda a sexta, das 8h às 18h.
Hoje já passou das 18h, então o escritório está fechado. Amanhã às 8h a equipe volta.
Como são mais de 12 kg, seria de utilitário. Pode me passar o bairro de coleta e o de destino?
Perto do Centro? Sim, ficamos na Av. Francisco Glicério, número 1240, sala 32.
Reuniões presenciais são no nosso escritório, na Avenida Francisco Glicério, 1240. As outras são por vídeo.
Para eu encaminhar direitinho, me diga: ¶ 1. Seu nome e empresa ¶ 2. Bairro e cidade de coleta ¶ 3. Bairro e cidade de destino ¶ 4. O que será levado e o peso aproximado
O técnico vem identificado: você recebe o nome dele antes da visita, que acontece entre 8h e 17h.
Não temos como prometer um horário exato. O que vale é a janela de visitas: das 8h às 17h, de segunda a sexta.
Para saber a mensalidade do CRM, uma pessoa da equipe prepara a proposta conforme usuários e módulos. Vocês são quantos?
O frete depende da rota e do volume, e quem calcula é a equipe. Vai mais de 12 kg?
Aceitamos coletas no sábado, sim, das 8h às 14h. Para onde vai a encomenda?
Temos moto (até 12 kg) e utilitário (até 500 kg). Qual combina mais com o que você precisa?
Se a sua loja precisa de rota fixa, ela pode ser diária, semanal ou em dias combinados, sempre entre 8h e 20h.
O pessoal da tecnologia não trabalha no sábado; o horário é de segunda a sexta, das 9h às 18h.
Você pode vir sem problema: Avenida Francisco Glicério, 1240, sala 32, das 8h às 18h. Aviso que não tenho informação sobre estacionamento.
Boa noite! A esta hora o escritório está fechado, mas anoto tudo e a equipe vê amanhã a partir das 8h.
A gente atende o Brasil inteiro a distância no CRM e na tecnologia. Já as entregas ficam em 7 cidades da região.
Dia de semana, das 8 da manhã às 8 da noite, tem coleta normalmente.
A demonstração leva 40 min e usa dados de exemplo do seu segmento. Qual é o ramo da sua empresa?
Em 40 minutos dá para ver os cinco módulos com dados de exemplo do seu segmento.
Oi, tudo certo? O escritório está aberto agora, das 8h às 18h. Como posso te ajudar?
Certo! Então é suporte para impressora em Campinas. O atendimento a distância vai até as 18h e a visita até as 17h.
Segunda-feira a partir das 8h alguém da equipe continua com você por aqui.
Our office is open Monday to Friday, 8 am to 6 pm, and Saturday from 9 am to noon.
Sure! We deliver in seven cities around Campinas, including Valinhos and Vinhedo. Where would the pickup be?
By motorbike we carry up to 12 kg; the van takes up to 500 kg and items up to 2 metres long.
You can call us on +55 19 3255-4180 or write to contato@pyloto.com.br.
Our office is at Avenida Francisco Glicério, 1240, suite 32, downtown Campinas.
I can't quote a price here, but someone from the team will prepare a proposal. Is your parcel under 12 kg?
The CRM suits teams of 2 to 50 people, and a demo takes 40 minutes by video. How many people would use it?
Demos run Tuesday to Thursday between 10 am and 5 pm. A colleague from the team sets the time with you.
Pyloto started in 2019 with motorbike deliveries and now works in four areas.
No, we don't deliver on Sundays. Saturdays we run from 8 am to 2 pm.
""")
ECHOES = (
    (
        "Meu nome é Cláudia, da Padaria Estrela. São 3 caixas de 8 kg.",
        "Obrigado, Cláudia! Anotei: Padaria Estrela, 3 caixas de 8 kg cada. De onde seria a coleta?",
    ),
    (
        "somos 14 pessoas no comercial",
        "Com 14 pessoas vocês ficam dentro do perfil do CRM, que vai de 2 a 50. Quer ver uma demonstração?",
    ),
    (
        "preciso levar uma caixa de 15kg de Barão Geraldo até o Cambuí",
        "Entendi: 15 kg, de Barão Geraldo até o Cambuí. Como passa de 12 kg, vai de utilitário. Qual é o nome da sua empresa?",
    ),
    (
        "tenho 22 computadores e 4 impressoras na clínica Vida Plena",
        "Certo, são 22 computadores e 4 impressoras na Clínica Vida Plena. Em que cidade vocês ficam?",
    ),
    (
        "o pedido é o 88213 e era pra chegar às 15h",
        "Sinto muito, vou passar à operação: pedido 88213, que você esperava às 15h.",
    ),
    ("pode ser quinta as 14h?", "Anotei a sua preferência por quinta às 14h; quem confirma é uma pessoa da equipe."),
    ("meu cep é 13083-970", "Obrigado! Com o CEP 13083-970 a equipe já consegue conferir a rota."),
    (
        "são 6 entregas por dia, saindo da rua Barreto Leme 900",
        "Perfeito: 6 entregas por dia, saindo da Rua Barreto Leme, 900. Para quais bairros elas vão?",
    ),
    (
        "aqui é o Otávio, da Ferragens Lobo, gerente",
        "Prazer, Otávio! Você é gerente da Ferragens Lobo. Quantas pessoas usariam o sistema?",
    ),
    (
        "hoje usamos o Bling e umas 5 planilhas",
        "Então vocês usam o Bling e 5 planilhas. Qual dessas rotinas mais toma tempo?",
    ),
    (
        "me ofereceram por 300 reais em outro lugar",
        "Valores são com uma pessoa da equipe, que atende das 8h às 18h. Posso encaminhar a sua conversa?",
    ),
    (
        "a internet caiu às 9h e tem 12 pessoas paradas",
        "Puxa, 12 pessoas paradas desde as 9h! Vou chamar a coordenação técnica agora. Em que cidade vocês estão?",
    ),
    ("I have 2 parcels of 5 kg in Taquaral", "Thanks! Two parcels of 5 kg from Taquaral, noted. Where do they go?"),
    ("meu telefone é 19 99123-4567, sou a Bia", "Obrigado, Bia! Anotei o 19 99123-4567 para a equipe falar com você."),
    (
        "mudamos dia 12 de março para o prédio novo na Norte-Sul",
        "Anotado: a mudança de vocês é em 12 de março, para o prédio da Norte-Sul. Quantos pontos de rede seriam?",
    ),
    (
        "tenho uma peça de 30 kg, vai de moto?",
        "Para 30 kg na moto não dá, porque o limite é 12 kg; o utilitário leva até 500 kg.",
    ),
    (
        "temos 5 vendedores",
        "Com 5 vendedores vocês ficam bem dentro do perfil do CRM, que atende equipes de 2 até 50 pessoas.",
    ),
    (
        "qual o instagram de vcs?",
        "Instagram eu não tenho para passar, mas o site é pyloto.com.br e o telefone é (19) 3255-4180.",
    ),
    (
        "valeu, sou a Renata",
        "Obrigado pelo contato, Renata! Se precisar, estamos no (19) 3255-4180.",
    ),
    (
        "vcs abrem entre o natal e o ano novo?",
        "Entre o Natal e o Ano-Novo a equipe confirma o horário; o que sei é que nos feriados nacionais não abrimos e nos demais dias é das 8h às 18h.",
    ),
)
HARMLESS_HARBOUR = _replies("""
Hi there! 😊 We're open Monday to Thursday from 8:30 am to 5:30 pm, and on Fridays until 1 pm.
We're closed on Saturdays and Sundays, I'm afraid. On Friday you can reach us from 8:30 am until 1 pm.
Good morning, Sarah! A first check-up takes about 45 minutes. Have you visited us before?
Later visits are shorter: around 20 minutes each.
You'll find us at 14 Custom House Quay in Falmouth, postcode TR11 3JT.
Our address is: ¶ Harbour Dental ¶ 14 Custom House Quay ¶ Falmouth ¶ TR11 3JT
The front desk can be reached on 01326 555 014 during opening hours.
Feel free to ring us on +44 1326 555 014, Monday to Thursday, half past eight to half past five.
Our website is https://harbourdental.example, where you can read more about the clinic.
We've been looking after smiles in Falmouth since 1998.
There are three dentists and two hygienists here, plus a small front desk.
We have 3 dentists and 2 hygienists on the team.
I can't quote a fee here, but the front desk will explain everything on 01326 555 014.
Fees are something only the front desk can discuss. They're in until 5:30 pm today if it's Monday to Thursday.
Appointments are arranged by the front desk, so I'll pass this on. They open at 8:30 am.
I can't book that for you myself, but the front desk can: 01326 555 014.
The orthodontist is here on Tuesdays and Wednesdays between 9 am and 4 pm. Who would the braces be for?
Our orthodontist only sees patients on Tuesday and Wednesday, 9 to 4.
Clear aligners are changed every two weeks. Is this for a teenager or an adult?
With aligners, you swap to a new set every 2 weeks, and retainers are fitted afterwards.
Urgent cases are seen on weekday mornings, from 8:30 to 10 am. What happened, and when did it start?
I'm so sorry you're in pain. We keep places free every morning, Monday to Friday, between 8:30 and 10. Is there any swelling?
If it's during the night or at the weekend, NHS 111 can give you advice by phone.
If the swelling reaches your eye or you find it hard to breathe, please call 999 straight away.
That sounds painful. Please ring 999 if breathing becomes difficult; otherwise the front desk opens at 8:30 am.
On Fridays we close at 1 pm, so the front desk would be best reached in the morning.
We close at 5.30pm from Monday to Thursday and at 1pm on Friday.
Here are our hours: ¶ • Monday–Thursday: 8:30 am – 5:30 pm ¶ • Friday: 8:30 am – 1 pm ¶ • Weekends and bank holidays: closed
In short: ¶ 1. A consultation with photographs and a digital scan ¶ 2. A written plan ¶ 3. Braces or aligners, changed every 2 weeks ¶ 4. Retainers afterwards
We don't do home visits, sorry. The clinic is at 14 Custom House Quay, right on the quay.
Jaw surgery isn't something we do; for that we refer people to the Royal Cornwall Hospital in Truro. Our orthodontist is in on Tuesdays from 9 am.
I'm not able to say how long treatment will last, but aligners are changed every 2 weeks.
I can't promise it will be painless, though we do stop whenever a patient raises a hand. A first visit is 45 minutes.
We're open until half past five today. Would you like me to pass your message to the front desk?
The clinic opens at half past eight every weekday morning.
Yes, children are welcome too! A first examination lasts 45 minutes, and later ones 20.
An adult check-up covers teeth, gums and bite. It's 45 minutes the first time and 20 minutes after that.
Thanks for letting me know. Has your dentist already sent a referral letter? The orthodontist sees patients on Tuesday and Wednesday.
Sorry to hear your filling came out! Urgent patients are seen between 8:30 am and 10 am, Monday to Friday. May I have your name?
The front desk will get back to you once they open at 8:30 am.
We are shut on bank holidays; otherwise it's 8:30 am to 5:30 pm Monday to Thursday.
Insurance and payment plans are questions for the front desk on 01326 555 014.
Whether the NHS covers it is something the front desk can tell you. Their number is 01326 555 014.
To move your appointment, please speak to the front desk on 01326 555 014. I'll pass on what you wrote.
I'm passing this to the front desk, who are in from 8:30 am. Is there anything else you'd like them to know?
Would mornings or afternoons suit you better? The front desk arranges the time, and we open from 8:30 am.
You don't need to be registered to be seen urgently. Just tell us what happened; the morning places run from 8:30 am to 10 am.
Friday afternoons we're closed, from 1 pm onwards.
It's a family clinic with three dentists, and we've been on the quay since 1998.
Great question! The hygienist does the scaling and polishing, and the whole first visit takes 45 minutes.
We can't judge a photograph by message, but a dentist can have a look any weekday between 8:30 am and 10 am.
Please don't send any medical records here. You can mention conditions at the front desk: 14 Custom House Quay.
Botox isn't something we offer. We do check-ups, braces and urgent care, Monday to Friday.
""")
FALSE = lines("""
O escritório atende aos sábados até as 16h.
Nosso telefone é (19) 3255-4810.
A demonstração do CRM dura 60 minutos.
De moto levamos até 20 kg.
Estamos na Avenida Francisco Glicério, 1420, sala 32.
As demonstrações acontecem às segundas, das 10h às 17h.
O CRM tem oito módulos.
A Pyloto existe desde 2009.
O utilitário leva volumes de até 3 metros.
As visitas técnicas vão até as 19h.
Atendemos aos domingos, das 8h às 12h.
O CRM atende equipes de até 200 pessoas.
A implantação tem 6 encontros.
Entregamos em dez cidades.
""")
FALSE_HARBOUR = lines("""
On Fridays we are open until 4 pm.
The first visit takes 90 minutes.
Ring us on 01326 555 041.
The orthodontist is in on Thursday.
We have five dentists.
We have been here since 1989.
Aligners are changed every 3 weeks.
You will find us at 41 Custom House Quay.
We open on Saturdays from 9 am.
Urgent cases are seen until noon.
""")
