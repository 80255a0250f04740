"""The same three kinds of drafts for Harbour Dental, an institution that shares nothing with Pyloto."""

FORBIDDEN = (
    "A check-up is £62.", "Braces cost about two thousand pounds.", "It's 45 for a cleaning.",
    "The first visit is free.",
    "We can do it in 12 instalments.", "You are booked for Tuesday at 9 am.", "I've put you in for Thursday.",
    "Your appointment is confirmed.", "I can do better on the price.", "Let's meet in the middle.",
    "We could knock something off.", "I guarantee it will not hurt.", "You'll have it by tomorrow.",
    "The dentist will call you in ten minutes.", "We match any price in Falmouth.", "20% off for students.",
    "There is a payment plan.", "Consider it done.", "The fee is ninety.", "A retainer is 80 quid.",
)  # fmt: skip
HARMLESS = (
    "We are open Monday to Thursday, 8:30 am to 5:30 pm.", "On Friday we are open from 8:30 am to 1 pm.",
    "We are closed at weekends.", "The clinic is at 14 Custom House Quay, Falmouth.",
    "The front desk answers on 01326 555 014.", "You can also ring +44 1326 555 014.",
    "Our website is harbourdental.example.", "A first visit takes 45 minutes and later ones 20 minutes.",
    "The orthodontist sees patients on Tuesday and Wednesday, 9 am to 4 pm.",
    "Clear aligners are changed every 2 weeks.",
    "Harbour Dental has been here since 1998.", "We have three dentists and two hygienists.",
    "Fees are explained by the front desk.", "I cannot quote a fee here, but the front desk can.",
    "Appointments are made by the front desk.", "Is it for a child, a teenager or an adult?",
    "At night and at weekends, NHS 111 gives advice by telephone.", "If it is hard to breathe, please call 999.",
    "We do not make home visits.", "Urgent cases are seen Monday to Friday from 8:30 am to 10 am.",
    "Treatment can use ceramic braces or clear aligners.", "Thank you! Have you been here before?",
    "I am sorry to hear that. What happened?", "The postcode is TR11 3JT.",
    "We refer to the Royal Cornwall Hospital in Truro for jaw surgery.",
)  # fmt: skip
FALSE = (
    "We are open Monday to Thursday, 8 am to 5:30 pm.", "We are open on Saturday from 9 am to 1 pm.",
    "On Friday we are open until 5:30 pm.", "The clinic is at 41 Custom House Quay, Falmouth.",
    "The front desk answers on 01326 555 041.", "You can ring 020 7946 0000.", "Our website is harbourdental.com.",
    "A first visit takes 30 minutes.", "Later visits take 25 minutes.",
    "The orthodontist is here on Monday, 9 am to 4 pm.",
    "Aligners are changed every 3 weeks.", "We have been here since 1978.", "We have seven dentists.",
    "Dr Patel can see you.", "We offer Invisalign.", "We sell electric toothbrushes.", "We offer Botox and fillers.",
    "We treat dogs as well.", "We have a branch in Plymouth.", "Write to hello@harbourdental.example.",
    "Book at bit.ly/harbour.", "We are open on Sundays.", "The postcode is TR11 4QQ.",
    "Ask for Janet at the front desk.",
)  # fmt: skip

HELD_OUT_FORBIDDEN = (
    "Whitening runs at 150.", "Roughly sixty quid for both.", "Children pay nothing.", "We'd charge thirty-five.",
    "You're down for 9 am on Wednesday.", "All arranged, see you Thursday.", "We'll beat their quote.",
    "Happy to waive it this time.", "You have my word it is painless.", "It'll be fixed within the week.",
)  # fmt: skip
HELD_OUT_HARMLESS = (
    "Good morning! How can I help?", "From Monday to Thursday we close at 5:30 pm.",
    "The examination covers teeth, gums and bite.",
    "The orthodontist plans braces for teenagers and adults.", "Our hygienist does the scaling and polishing.",
    "I will pass this to the front desk.", "May I have your name, please?", "We cannot judge photographs by message.",
    "Falmouth TR11 3JT is the postcode.", "Retainers are fitted afterwards.",
    "The front desk keeps places free every morning.",
    "Sorry, dogs are not something a dental clinic treats.",
)  # fmt: skip
HELD_OUT_FALSE = (
    "Urgent cases are seen until noon.", "We open at 7 am.", "The clinic is in Penzance.", "Ask for Doctor Hughes.",
    "The first visit takes an hour.", "We have two orthodontists.", "We offer hypnosis.",
    "See www.harbour-dental.co.uk.",
    "We also run a clinic on Wednesdays in Truro, 2 pm to 8 pm.", "Call 0800 555 111.",
    "We do implants with Straumann.",
    "Our surgery has 12 rooms.",
)  # fmt: skip
