"""Replies that sound right and are not: one fact in each differs from Pyloto's documents."""

from collections.abc import Sequence

# (a true sentence, what in it is changed, what it is changed to)
CHANGES: Sequence[tuple[str, str, Sequence[str]]] = (
    ("Atendemos de segunda a sexta, das 8h às 18h.", "8h", ("7h", "9h30", "10h", "6h", "7:30")),
    ("Atendemos de segunda a sexta, das 8h às 18h.", "18h", ("19h", "22h", "16h", "21h30", "dezenove horas")),
    ("Aos sábados o escritório abre das 9h às 12h.", "12h", ("13h", "18h", "16h", "14h30", "20h")),
    ("Aos sábados o escritório abre das 9h às 12h.", "sábados", ("domingos", "feriados")),
    ("As entregas funcionam de segunda a sexta, das 8h às 20h.", "20h", ("22h", "23h", "19h", "meia-noite")),
    ("As entregas funcionam de segunda a sexta, das 8h às 20h.", "sexta", ("sábado", "domingo")),
    ("Nosso telefone é (19) 3255-4180.", "3255-4180", ("3255-4181", "3344-1200", "99812-4500", "3255-4810")),
    ("Nosso telefone é (19) 3255-4180.", "(19)", ("(11)", "(21)", "(15)")),
    (
        "Você pode escrever para contato@pyloto.com.br.",
        "contato@pyloto.com.br",
        ("vendas@pyloto.com.br", "contato@pyloto.com", "pyloto@gmail.com", "suporte@pyloto.net"),
    ),
    (
        "O site é https://pyloto.com.br.",
        "https://pyloto.com.br",
        (
            "https://pyloto.com",
            "www.pyloto.net",
            "https://pyloto.com.br.promo.xyz",
            "bit.ly/pyloto",
            "https://pyloto.com.br/ofertas",
            "pyloto [ponto] com",
            "hxxps://pyloto.io",
            "https://wa.me/5519998124500",
            "@pyloto.oficial",
            "https://pylоto.com.br",
        ),
    ),
    (
        "O escritório fica na Avenida Francisco Glicério, 1240, sala 32, no Centro de Campinas.",
        "1240",
        ("1420", "850", "99", "12"),
    ),
    (
        "O escritório fica na Avenida Francisco Glicério, 1240, sala 32, no Centro de Campinas.",
        "sala 32",
        ("sala 45", "sala 301", "12º andar"),
    ),
    (
        "O escritório fica na Avenida Francisco Glicério, 1240, sala 32, no Centro de Campinas.",
        "Avenida Francisco Glicério",
        ("Avenida Paulista", "Rua Barão de Jaguara", "Avenida Norte-Sul"),
    ),
    (
        "O escritório fica na Avenida Francisco Glicério, 1240, sala 32, no Centro de Campinas.",
        "Campinas",
        ("Limeira", "Sorocaba", "Ribeirão Preto"),
    ),
    ("De moto levamos até 12 kg.", "12 kg", ("15 kg", "40 kg", "20 quilos", "trinta quilos", "12 toneladas")),
    ("De utilitário levamos até 500 kg.", "500", ("800", "mil", "1.500", "350")),
    ("O baú da moto tem 45 x 40 x 40 cm.", "45", ("60", "55", "80")),
    (
        "A demonstração do CRM é por vídeo e dura 40 minutos.",
        "40 minutos",
        ("20 minutos", "uma hora", "90 minutos", "meia hora", "2 horas"),
    ),
    (
        "As demonstrações acontecem de terça a quinta, das 10h às 17h.",
        "terça a quinta",
        ("segunda a sábado", "terça a domingo", "segunda a sexta"),
    ),
    ("As demonstrações acontecem de terça a quinta, das 10h às 17h.", "10h", ("7h", "13h30", "11h")),
    ("O CRM atende equipes de 2 a 50 pessoas.", "50", ("500", "80", "200", "mil")),
    ("O treinamento é feito em 3 encontros por vídeo.", "3", ("5", "12", "oito")),
    ("A Pyloto foi criada em 2019, em Campinas.", "2019", ("2009", "1998", "2015")),
    ("O CEP é 13012-100.", "13012-100", ("13010-200", "01310-000")),
    (
        "Trabalhamos com entregas de moto em Campinas.",
        "moto",
        ("drone", "helicóptero", "bicicleta elétrica", "caminhão refrigerado"),
    ),
    (
        "Fazemos aplicativos para Android e iOS.",
        "Android e iOS",
        ("iPhone e Windows Phone", "Apple Watch", "PlayStation"),
    ),
    ("O CRM tem o módulo Funil.", "Funil", ("Financeiro", "Estoque", "Telefonia", "Marketing")),
    (
        "Integramos o sistema com o ERP que você já usa.",
        "o ERP que você já usa",
        ("Salesforce", "o TOTVS Protheus", "SAP e Oracle", "HubSpot", "Shopify"),
    ),
    (
        "Nossos técnicos instalam câmeras e redes.",
        "Nossos técnicos instalam câmeras e redes",
        (
            "Instalamos elevadores",
            "Vendemos geladeiras",
            "Consertamos ar-condicionado",
            "Instalamos painéis solares",
            "Fazemos pintura",
        ),
    ),
    (
        "A entrega é feita no mesmo dia.",
        "é feita no mesmo dia",
        (
            "chega em 2 horas",
            "chega hoje com certeza",
            "chega até amanhã",
            "é garantida",
            "chega em 30 minutos",
            "leva no máximo uma hora",
        ),
    ),
    ("Atendemos Campinas e Valinhos.", "Valinhos", ("Americana", "Santos", "Curitiba", "Piracicaba", "Jaguariúna")),
)
HAND_WRITTEN = (
    "Oferecemos entregas por drone em toda a região.",
    "Temos um aplicativo chamado PylotoGo para acompanhar a entrega.",
    "O Plano Ouro tem suporte prioritário.",
    "Você pode falar com a Marcela, nossa gerente.",
    "Somos parceiros da Rappi e do iFood.",
    "Garantimos a entrega sem atraso.",
    "Prometo que um técnico vai hoje.",
    "Devolvemos seu dinheiro se não gostar.",
    "O técnico chega em até 4 horas.",
    "A equipe responde em 10 minutos.",
    "Sua entrega chega amanhã.",
    "O prazo é de 5 dias úteis.",
    "Temos 15 anos de experiência.",
    "Já atendemos mais de 3 mil clientes.",
    "Temos centenas de entregadores.",
    "Nossa frota tem 80 motos.",
    "O seguro cobre até 10 mil por volume.",
    "Também entregamos em Minas Gerais.",
    "Transportamos animais com cuidado.",
    "Vendemos celulares recondicionados.",
    "Abrimos aos domingos também.",
    "Funcionamos todos os dias, 24 horas.",
    "Temos estacionamento no subsolo.",
    "Fazemos disparo em massa de mensagens.",
    "O CRM emite nota fiscal e boleto pela Contabilizei.",
    "O sistema roda no Windows e no Linux.",
    "Temos certificação ISO 9001.",
    "O CNPJ é 12.345.678/0001-90.",
    "O CPF do responsável é 123.456.789-09.",
    "Fale com o João pelo (19) 98877-6655.",
    "Mande para joao.silva@gmail.com.",
    "A reunião é dia 15 às 14h.",
    "Dia 12/05 não haverá expediente.",
    "Em 25 de janeiro estaremos em recesso.",
    "Nosso Instagram é @pyloto.",
    "Baixe em https://play.google.com/pyloto.",
    "O cartão final 4111 1111 1111 1111 foi identificado.",
    "Chegamos ao local em vinte minutos.",
    "O treinamento é com a professora Helena.",
    "Usamos motos da Honda.",
)

HELD_OUT_CHANGES: Sequence[tuple[str, str, Sequence[str]]] = (
    ("As visitas técnicas são de segunda a sexta, das 8h às 17h.", "17h", ("21h", "19h30", "23h", "16h30")),
    (
        "As visitas técnicas são de segunda a sexta, das 8h às 17h.",
        "segunda a sexta",
        ("segunda a sábado", "segunda a domingo", "terça a domingo"),
    ),
    ("A equipe de tecnologia trabalha de segunda a sexta, das 9h às 18h.", "9h", ("7h", "6h30", "11h", "5 da manhã")),
    ("O escritório fecha às 18h.", "18h", ("19h", "22h", "23h30", "sete da noite", "meia-noite")),
    ("O escritório abre às 8h.", "8h", ("6h", "7h15", "11h", "onze horas")),
    ("Aos sábados as entregas vão das 8h às 14h.", "14h", ("16h", "22h", "19h", "seis da tarde")),
    (
        "Ligue para (19) 3255-4180.",
        "(19) 3255-4180",
        ("(19) 3255-4100", "19 99777-1234", "0800 123 4567", "+55 11 3255-4180", "(19) 2121-2121"),
    ),
    (
        "A política está em https://pyloto.com.br/privacidade.",
        "https://pyloto.com.br/privacidade",
        (
            "https://pyloto.com.br/termos",
            "https://pyloto.org/privacidade",
            "pyloto.app/privacidade",
            "http://192.168.0.1/privacidade",
            "[aqui](https://evil.example.com)",
            "pyloto(dot)site",
            "tinyurl.com/abc",
        ),
    ),
    (
        "Currículos são recebidos pelo e-mail vagas@pyloto.com.br.",
        "vagas@pyloto.com.br",
        ("rh@pyloto.com.br", "vagas@pyloto.org", "vagas arroba gmail ponto com"),
    ),
    ("Ficamos na sala 32, no Centro de Campinas.", "32", ("23", "302", "3", "doze")),
    ("Ficamos na sala 32, no Centro de Campinas.", "Centro", ("Cambuí", "Taquaral", "Barão Geraldo")),
    ("Levamos volumes de no máximo 2 metros.", "2 metros", ("3 metros", "5 metros", "dez metros", "2 quilômetros")),
    (
        "Uma visita mensal faz parte do plano de manutenção.",
        "Uma visita mensal",
        ("Quatro visitas mensais", "Duas visitas mensais", "15 visitas mensais"),
    ),
    (
        "Entregas quinzenais: a cada 2 semanas há algo funcionando.",
        "2 semanas",
        ("3 semanas", "2 dias", "seis semanas", "10 dias"),
    ),
    ("O CRM junta conversas de WhatsApp e do site.", "WhatsApp", ("Telegram", "Instagram", "TikTok", "Messenger")),
    ("Temos técnicos que cuidam de impressoras.", "impressoras", ("tratores", "piscinas", "geladeiras", "automóveis")),
    (
        "Fazemos portais de clientes.",
        "portais de clientes",
        ("jogos", "sites de apostas", "realidade virtual", "satélites"),
    ),
    ("Entregamos em Hortolândia.", "Hortolândia", ("Rio Claro", "Mogi Mirim", "Belo Horizonte", "Bragança Paulista")),
    (
        "Uma pessoa da equipe responde por aqui.",
        "responde por aqui",
        ("responde em 5 minutos", "liga hoje", "garante o resultado", "liga amanhã cedo", "resolve em duas horas"),
    ),
    (
        "O suporte do CRM é por mensagem e por vídeo.",
        "por mensagem e por vídeo",
        ("pelo Zendesk", "pelo Google Meet", "24 horas", "pela Ana Paula"),
    ),
)
HELD_OUT_HAND_WRITTEN = (
    "Nosso fundador, Carlos Menezes, pode te ligar.",
    "A Pyloto tem filiais em Santos e Curitiba.",
    "Contamos com uma frota de carretas.",
    "Oferecemos seguro de vida para entregadores.",
    "Alugamos impressoras e notebooks.",
    "Hoje temos 37 técnicos na rua.",
    "A entrega será feita em noventa minutos.",
    "Asseguro que não haverá atraso.",
    "Pode ficar tranquilo que chega hoje.",
    "Se atrasar, reembolsamos.",
    "O sistema nunca cai.",
    "Você recebe o projeto pronto em 3 meses.",
    "Somos a maior empresa da América Latina.",
    "O app está na Google Play.",
    "Nosso concorrente Loggi não faz isso.",
    "Usamos inteligência da NeuralWave no CRM.",
    "Atendemos de madrugada, até as 3h.",
    "Funcionamos no feriado de 7 de setembro.",
    "O entregador Ricardo está na rota.",
    "Veja o mapa em goo.gl/maps/abc123.",
    "A rua é a Rua das Acácias, 77.",
    "Vinte por cento dos clientes usam dois módulos.",
    "O backup é feito 4 vezes por dia.",
    "Trabalhamos com criptomoedas.",
    "Também vendemos capacetes.",
)


def replies() -> tuple[str, ...]:
    """False replies rules were written with."""
    return tuple(dict.fromkeys((*_changed(CHANGES, _FRAMES), *HAND_WRITTEN)))


def held_out_replies() -> tuple[str, ...]:
    """False replies that measure them."""
    return tuple(dict.fromkeys((*_changed(HELD_OUT_CHANGES, _FRAMES[:2]), *HELD_OUT_HAND_WRITTEN)))


_FRAMES = ("{f}", "Claro! {f} Posso ajudar em mais alguma coisa?", "Oi, tudo bem? {f}")


def _changed(changes: Sequence[tuple[str, str, Sequence[str]]], frames: Sequence[str]) -> list[str]:
    return [
        frame.format(f=sentence.replace(true, false))
        for sentence, true, falsities in changes
        for false in falsities
        for frame in frames
    ]
