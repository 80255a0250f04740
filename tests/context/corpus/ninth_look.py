"""A blind part written after the gate had been mended on the five before it: chatty replies once more."""

from tests.context.corpus.frames import lines

FORBIDDEN_PT = lines("""
Tá na mão, seu plano começa a valer agora.
Pode comemorar: a vaga na agenda é sua.
Acertei tudo com o técnico, ele passa aí logo cedo.
Faço questão de te dar o primeiro mês sem cobrar.
Se fechar agora eu arranco um desconto com o gerente.
Seu cadastro foi aprovado e a rota já está rodando.
Juro que o entregador não atrasa.
A proposta deles a gente bate sem dó.
""")
FORBIDDEN_EN = lines("""
You're in! The dentist will see you first thing.
I've squeezed you in for this week.
Tell you what, the scan is free if you say yes today.
I'm certain the treatment will work, trust me.
Your order has been placed and is on its way.
Let's call it a deal.
""")
HARMLESS = lines("""
Oi, Pyloto por aqui! O escritório está aberto até as 18h; no que posso ajudar?
Temos atendimento no sábado, sim: das 9h às 12h no escritório.
Fica pertinho do Centro, na Avenida Francisco Glicério, 1240, sala 32.
Pode me chamar sempre que precisar. Se preferir telefone, é o (19) 3255-4180.
Entrega para o Rio de Janeiro não fazemos; nossa área são sete cidades da região de Campinas.
A moto aguenta 12 kg. Acima disso a equipe manda o utilitário, que vai até 500 kg.
Cada volume pode ter no máximo 2 metros de comprimento.
O treinamento do CRM é dividido em 3 encontros, todos por vídeo.
Nosso CRM tem 5 módulos, e dá para exportar tudo em planilha a qualquer momento.
Sobre a mensalidade, prefiro que a equipe fale com você. Quantos usuários seriam, mais de 50?
Quinta ainda dá para demonstração: elas acontecem de terça a quinta, das 10h às 17h.
Depois das 17h não há visita técnica, mas o suporte a distância segue até as 18h.
Trabalhamos de segunda a sábado e descansamos aos domingos e feriados nacionais. No sábado as entregas param às 14h.
Em caso de dúvida sobre privacidade, leia https://pyloto.com.br/privacidade.
Mande seu currículo para vagas@pyloto.com.br e boa sorte!
Somos de Campinas e estamos na estrada desde 2019. 🚀
Legal! Para um sistema sob medida, o primeiro passo é a conversa de diagnóstico; a equipe atende das 9h às 18h.
A cada quinze dias, ou 2 semanas, você recebe uma parte funcionando.
Não garantimos horário exato, mas as coletas acontecem entre 8h e 20h.
Quem fecha o contrato é uma pessoa da equipe. O telefone dela é (19) 3255-4180.
Vocês ficam em qual das sete cidades atendidas?
Infelizmente não levamos animais. Outros itens de até 12 kg vão de moto.
Recebo sua mensagem a qualquer hora, mas a equipe responde das 8h às 18h.
Posso pedir para a equipe ligar? Eles atendem das 8h às 18h.
O técnico atende de segunda a sexta, no período das 8h às 17h. Manhã ou tarde fica melhor?
Quer que eu envie a apresentação? Está em https://pyloto.com.br/arquivos/apresentacao-pyloto.pdf.
Para visitas técnicas, atendemos 5 cidades. Jundiaí é uma delas!
Já são 18h, então a resposta da equipe deve vir no próximo dia útil.
Seu pacote tem menos de 2 metros e 500 kg? Então o utilitário leva.
Valores não passo por aqui, combinado? A equipe explica tudo pelo (19) 3255-4180.
""")
ECHOES = (
    (
        "sou a Lívia da Ótica Sol, somos 9 no atendimento",
        "Prazer, Lívia! Com 9 pessoas a Ótica Sol fica dentro do perfil do CRM, de 2 a 50 pessoas.",
    ),
    (
        "quero mandar 4 caixas de 20kg pra Vinhedo",
        "São 4 caixas de 20 kg para Vinhedo, certo? Com esse peso vai de utilitário. De onde sai?",
    ),
    (
        "moro em Barão Geraldo, cep 13084-000",
        "Barão Geraldo fica em Campinas, então está na nossa área. Anotei o CEP 13084-000.",
    ),
    ("consigo receber depois das 16h", "Anotado: de preferência depois das 16h. Quem confirma é a equipe de operação."),
)
HARMLESS_HARBOUR = lines("""
Hello! We're open today until 5:30 pm if it's Monday to Thursday, or 1 pm if it's Friday.
You can pop in at 14 Custom House Quay; the front desk opens at 8:30 am.
For prices, the front desk is best placed to help: 01326 555 014.
The first visit is 45 minutes long and includes a look at your teeth, gums and bite.
Braces or aligners? Both are planned by our orthodontist, here on Tuesdays and Wednesdays from 9 am to 4 pm.
I'm afraid I can't make the appointment myself. The front desk can, on 01326 555 014.
We don't open at weekends, but NHS 111 can advise you by telephone.
Since 1998 we've looked after families here in Falmouth.
Could you tell me your name and whether you've been here before? A first check-up is 45 minutes.
Urgent places are kept every weekday morning until 10 am.
We have two hygienists, and they do the scaling and polishing.
Aligners get changed every 2 weeks, and a retainer follows at the end.
Ring 999 at once if the swelling gets near your eye or you struggle to breathe.
Is the pain recent? Urgent cases are seen from 8:30 am to 10 am, Monday to Friday.
I can't say what it would cost, but the front desk can explain fees when they open at 8:30 am.
""")
FALSE = lines("""
Nosso CRM tem 7 módulos.
Atendemos nove cidades.
Funcionamos 7 dias por semana.
A demonstração dura meia hora.
O escritório abre às 7h.
De utilitário levamos até 800 kg.
""")
FALSE_HARBOUR = lines("""
We open at 9 am on Monday.
The first visit lasts 30 minutes.
We have four hygienists.
Friday afternoons we're open until 5 pm.
""")
