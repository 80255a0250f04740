"""Wishes for no more messages in people's own words, in three languages, and sentences that only look like one."""

import pytest

from sandbox.signs import wish_to_leave

LEAVING = """\
quero me descadastrar
me remove da lista
me tira dessa lista por favor
por gentileza, retirem meu número da base de vocês
quero sair da lista
me tira do grupo de vcs
nao quero mais receber msg de vcs
não me mandem mais nada
para de me mandar mensagem
parem de encher o saco
chega de propaganda!!!
nao mande mais msg
não quero mais receber isso
quero parar de receber mensagens
como faço pra parar de receber essas mensagens?
pode me excluir do cadastro de vocês?
cancela meu cadastro
descadastra meu numero
quero cancelar o recebimento
nao autorizo o envio de mensagens
quero que apaguem meu contato
não me chamem mais
nao tenho interesse, nao me mande mais nada
nunca mais me mande mensagem
me descadastre pf
me deskadastra
desinscrever
não quero mais conversar, pare de enviar mensagens
para de me chamar
bloqueiem meu número
unsubscribe me pls
pls take me off your list
take my number off your mailing list
could you please stop sending me these
stop texting me
stop messaging
I don't want to receive these any more
I don't want any more texts from you
please don't contact me again
do not contact me
lose my number
quit spamming me
I'd like to opt out
opt me out
remove my number from your database
delete my number please
unsuscribe
unsubcribe me
how do I stop getting these messages?
never text me again
I no longer wish to receive messages
please cease all communication
no me escriban más
quiero darme de baja
dame de baja por favor
no quiero recibir más mensajes
dejen de mandarme mensajes
bórrenme de la lista
sáquenme de su lista
elimina mi número
no me manden más mensajes
no más mensajes
Por favor parem com essas mensagens
oi, quero que vocês parem de me enviar propaganda
gostaria de não receber mais mensagens
não quero mais receber promoções de vocês
desejo me descadastrar dessa lista
tirem meu telefone da lista de vocês
me exclui da lista de transmissão
nao me mandem mais mensagens
favor não enviar mais mensagens
não enviem mais nada
sai da minha vida, para de mandar msg
quero q parem de mandar mensagem
descadastro
como me descadastro?
quero me desinscrever da newsletter
retire meu contato da sua lista
please remove me from this list
kindly unsubscribe me from your messages
take me off this list now
stop sending me texts
stop sending messages
i want you to stop messaging me
no more texts please
do not send me any more messages
don't send me anything else
please stop contacting me
I would like to stop receiving these messages
can you take me off your contact list?
don't message me anymore
deja de escribirme
no quiero más mensajes
por favor quítenme de la lista
ya no quiero recibir sus mensajes
quiero desuscribirme
darme de baja
descadstrar
unsubscibe
pare de me mandar msgs
pará de me enviar mensagem
I'm done, stop messaging me
Bom dia. Por favor, retirem meu número dessa lista. Obrigado
nao quero receber mais esse tipo de mensagem
me tira da lista de contatos de vocês
please delete my number from your database
i do not wish to be contacted
enough with the messages
no quiero que me escriban
tire meu número do cadastro
quero sair desse grupo
"""

STAYING = """\
não quero sair da lista de espera
can you remove the gluten?
me coloca na lista de espera?
vocês tiram o endereço da lista?
pode remover o item da lista de compras?
quero remover um produto do pedido
para de chover aí?
não parem de me mandar mensagem
não quero me descadastrar
não me tirem da lista
não recebi nenhuma mensagem de vocês
não recebi mais mensagens sobre o pedido
para quem eu mando mensagem?
para mandar mensagem é por aqui?
quero parar de fumar
quero cancelar a entrega
posso parar a moto na calçada?
o entregador não para de mandar mensagem
o motoboy não responde mensagens
tira uma dúvida da lista de bairros
exclui o segundo endereço da lista de entregas
nao quero mensagem no cartão do presente
não precisa me mandar mensagem, pode ligar
apaga a última mensagem, mandei errado
chega amanhã a mensagem?
chega hoje?
chega de manhã?
quando chega meu pedido
I don't want to stop getting the reminders
please don't take me off the waiting list
can you take me off the waiting list for Tuesday and put me on Friday
don't stop texting me
did you stop sending reminders?
why did you stop sending me messages?
can you remove my wisdom tooth?
will the dentist remove my stitches?
my son stopped texting me
the bus stop is near you?
I want to cancel my appointment
please don't text me at work, call me
don't contact me before 9, I'm asleep
don't message me on this number, use my other one
could you delete the last message
enough for two people?
is that enough?
the pain won't stop
stop, that's enough detail, when are you open?
no quiero darme de baja
quiero sacar un turno
no me llegan los mensajes
quiero eliminar la cebolla
vocês param de atender que horas?
a gente para de receber pedidos às 18h
Não quero receber a entrega hoje
posso sair da fila?
quero sair da lista de espera
tired of waiting, can I see someone?
basta me avisar quando chegar
basta mandar mensagem?
cansei de esperar, cadê meu pedido
meu cadastro foi removido, por quê?
remova o acento do meu nome no cadastro
remove meu nome do pedido e coloca o da minha mãe
take my name off the appointment and put my wife's
não me mande o boleto por e-mail, mande aqui
para de frente para o parque, tem entrega?
quero receber mensagens
parei de receber mensagens de vocês, o que houve?
não estou recebendo mensagens
mande mensagem quando chegar
stop by tomorrow?
my phone stopped receiving messages
do you send messages at weekends?
I don't want to cancel
I don't want the delivery today
remove my old address please
can I leave the list of documents at reception?
qual a lista de bairros?
pode tirar o produto da caixa
não quero mais a entrega
não quero mais nada, obrigado
nada mais
não precisa mais
deixa pra lá
para enviar mensagem pro motoboy?
cancela meu pedido
cancelar minha assinatura do CRM
don't call me, text me instead
text me, don't call
no llamen, escriban
não me ligue, me manda mensagem
me chama amanhã
me tira uma dúvida
quero sair mais cedo da consulta
salir de la clínica a qué hora?
não mande o motoboy hoje
não envie ainda
please don't send the courier
do not contact the sender
não quero parar de receber as mensagens
por que pararam de me mandar mensagem?
can you stop the pain?
pode me tirar da fila?
remove me from the 3pm slot
take me off the anaesthetic list
me tira do pedido 12
I no longer want the braces
"""


@pytest.mark.parametrize("text", LEAVING.splitlines())
def test_a_wish_to_leave_is_heard(text: str) -> None:
    assert wish_to_leave(text) is not None


@pytest.mark.parametrize("text", STAYING.splitlines())
def test_who_wants_something_else_stays(text: str) -> None:
    assert wish_to_leave(text) is None
